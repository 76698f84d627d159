"""What can be wrong with a sign-in by Apple or Google."""

from chassis.problems import Problem, Unauthorized

PROVIDER_TOKEN_MAX_LENGTH = 8192


class ProviderNotOffered(Problem):
    """The provider is switched off."""

    status = 404
    slug = "provider-not-offered"
    title = "This way to sign in is not offered"
    detail = "Sign-in with this provider is switched off. Sign in with e-mail address and password."


class IdentityTokenRefused(Unauthorized):
    """The provider's token does not prove who the person is; why is only logged."""

    slug = "identity-token-refused"
    title = "Sign-in failed"
    detail = "The provider's confirmation was not accepted. Start the sign-in again."


class EmailNeeded(Problem):
    """A new account needs an address, and the provider gave none; none is made up."""

    status = 422
    slug = "email-needed"
    title = "An e-mail address is needed"
    detail = (
        "The provider did not share an e-mail address. Allow it, or Hide My Email, and sign in again; with "
        "Apple, first remove this app in the settings of your Apple Account."
    )


class SignInFirst(Problem):
    """The address has an account, and the provider's word is not enough to open it."""

    status = 409
    slug = "sign-in-first"
    title = "This address has an account"
    detail = (
        "There is an account with this e-mail address. Sign in to it as before, or reset its password, and "
        "then connect this provider to it."
    )


class AddressUnproved(Problem):
    """Nobody signs in before the address is proved; whether it has an account is not said."""

    status = 403
    slug = "address-unproved"
    title = "Confirm your e-mail address first"
    detail = (
        "Follow the link in our mail to your address, then sign in again. If you have an account with it and "
        "got no mail, sign in as before and connect this provider to it."
    )


class ProviderAccountTaken(Problem):
    """The person at the provider has another account here."""

    status = 409
    slug = "provider-account-taken"
    title = "This sign-in belongs to another account"
    detail = "This provider account opens another account already. Sign in with it, or use a different one."


class NoticeRefused(Unauthorized):
    """The notice was not signed by Apple for us."""

    slug = "notice-refused"
    title = "The notice was not accepted"
    detail = "The payload is not a notice that Apple signed for this app."
