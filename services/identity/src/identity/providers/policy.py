"""What can be wrong with a sign-in by Apple or Google."""

from chassis.problems import Problem, Unauthorized

PROVIDER_TOKEN_MAX_LENGTH = 8192


class ProviderNotOffered(Problem, status=404, title="This way to sign in is not offered"):
    """The provider is switched off."""

    detail = "Sign-in with this provider is switched off. Sign in with e-mail address and password."


class IdentityTokenRefused(Unauthorized, title="Sign-in failed"):
    """The provider's token does not prove who the person is; why is only logged."""

    detail = "The provider's confirmation was not accepted. Start the sign-in again."


class EmailNeeded(Problem, status=422, title="An e-mail address is needed"):
    """A new account needs an address, and the provider gave none; none is made up."""

    detail = (
        "The provider did not share an e-mail address. Allow it, or Hide My Email, and sign in again; with "
        "Apple, first remove this app in the settings of your Apple Account."
    )


class SignInFirst(Problem, status=409, title="This address has an account"):
    """The address has an account, and the provider's word is not enough to open it."""

    detail = (
        "There is an account with this e-mail address. Sign in to it as before, or reset its password, and "
        "then connect this provider to it."
    )


class AddressUnproved(Problem, status=403, title="Confirm your e-mail address first"):
    """Nobody signs in before the address is proved; whether it has an account is not said."""

    detail = (
        "Follow the link in our mail to your address, then sign in again. If you have an account with it and "
        "got no mail, sign in as before and connect this provider to it."
    )


class ProviderAccountTaken(Problem, status=409, title="This sign-in belongs to another account"):
    """The person at the provider has another account here."""

    detail = "This provider account opens another account already. Sign in with it, or use a different one."


class NoticeRefused(Unauthorized, title="The notice was not accepted"):
    """The notice was not signed by Apple for us."""

    detail = "The payload is not a notice that Apple signed for this app."
