"""Rules of passkeys, without database or network."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from chassis.problems import Problem
from identity.policy import InvalidCredentials

MOST_PASSKEYS = 10
CEREMONY_TIME = timedelta(minutes=5)
NAME_MAX_LENGTH = 64

# How the app names a passkey that its owner gave no name, by the AAGUID of the provider (from the list of
# passkeydeveloper/passkey-authenticator-aaguids). Nobody attests it, so it is a label and nothing more.
_PROVIDERS = {
    UUID("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"): "Apple Passwords",
    UUID("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"): "Google Password Manager",
    UUID("53414d53-554e-4700-0000-000000000000"): "Samsung Pass",
    UUID("08987058-cadc-4b81-b6e1-30de50dcbe96"): "Windows Hello",
    UUID("9ddd1817-af5a-4672-a2b9-3e3dd95000a9"): "Windows Hello",
    UUID("6028b017-b1d4-4c02-b4b3-afcdafc96bb2"): "Windows Hello",
    UUID("bada5566-a7aa-401f-bd96-45619a55120d"): "1Password",
    UUID("d548826e-79b4-db40-a3d8-11116f7e8349"): "Bitwarden",
}


class CeremonyPurpose(StrEnum):
    """What a challenge was made for."""

    REGISTRATION = "registration"
    SIGN_IN = "sign-in"


class PasskeyRefused(InvalidCredentials):
    """The passkey does not sign anybody in; why, is not said."""

    detail = "This passkey was not accepted. Start the sign-in again, or sign in another way."


class PasskeyNotVerified(Problem, status=400, title="The passkey was not added"):
    """What the authenticator made does not belong to a registration of this person."""

    detail = "The passkey could not be verified, or adding it took too long. Start again from the beginning."


class PasskeyKnown(Problem, status=409, title="This passkey is in use"):
    """The passkey was registered before."""

    detail = "This passkey was added before. It can be used to sign in."


class TooManyPasskeys(Problem, status=409, title="No room for another passkey"):
    """The account has as many passkeys as it may have."""

    detail = (
        f"An account can have {MOST_PASSKEYS} passkeys. Remove one that you do not use, then add this one."
    )


def counter_went_back(*, stored: int, reported: int) -> bool:
    """Tell whether a signature counter says that a copy of the authenticator exists (WebAuthn §6.1.1).

    Passkeys that are synced between devices don't count at all: theirs stays at 0.
    """
    return (stored, reported) != (0, 0) and reported <= stored


def passkey_name(wanted: str | None, aaguid: UUID) -> str:
    """Return the name under which the owner finds the passkey in the list."""
    return wanted or _PROVIDERS.get(aaguid, "Passkey")
