"""Identity's rules, without database or network."""

import ipaddress
import unicodedata
from datetime import datetime, timedelta
from enum import Enum

from chassis.networks import normalised
from chassis.problems import Problem, Unauthorized

PASSWORD_MAX_LENGTH = 128
PARALLEL = timedelta(seconds=10)
"""How long refreshes that a phone sent at the same moment may be apart when they arrive."""


class EmailTaken(Problem, status=409, title="This address has an account"):
    """The address belongs to an account."""

    detail = "There is an account with this e-mail address. Sign in, or reset the password."


class InvalidCredentials(Unauthorized, title="Sign-in failed"):
    """Address or password is wrong; which of them is not said."""

    detail = "The e-mail address or the password is not right."


class LastWayIn(Problem, status=409, title="Nothing else opens this account"):
    """Without this nobody could sign in to the account any more."""

    detail = "Set a password, connect a provider or add another passkey first; then this can be removed."


class WeakPassword(Problem, status=422, title="Choose another password"):
    """The password would be guessed."""

    detail = (
        "This password is too short, very common, or made from your address. "
        "Choose a longer one; a few unrelated words are good."
    )


class InvalidRefreshToken(Unauthorized, title="The session has ended"):
    """The refresh token is not good any more."""

    detail = "Sign in again: this session has ended."


class FreshSignInNeeded(Unauthorized, title="Sign in again to go on"):
    """The sign-in was too long ago for what the caller wants to do (RFC 9470 §3)."""

    detail = "For your safety: sign in again, and then do this at once."

    def __init__(self, *, within: timedelta) -> None:
        challenge = (
            f'Bearer error="insufficient_user_authentication", max_age="{int(within.total_seconds())}"'
        )
        super().__init__(headers={"WWW-Authenticate": challenge})


class Refresh(Enum):
    """What a presented refresh token leads to."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    REUSED = "reused"


def normalised_password(password: str) -> str:
    """Return the form that is hashed, alike for composed and decomposed input (NIST 800-63B-4 §3.1.1.2)."""
    return unicodedata.normalize("NFC", password)


def judge_refresh(
    *,
    presented: int,
    current: int,
    rotated_at: datetime,
    current_seen: bool,
    now: datetime,
    repeat_for: timedelta,
) -> Refresh:
    """Decide about a genuine refresh token of generation `presented`.

    The previous token yields the current one again for `repeat_for` while nobody has used that, because a
    phone that lost the answer has nothing else: it was not exchanged, and `current_seen` says whether the
    access token beside it was seen. Requests that were under way together get it whatever was used. Anything
    else was replaced by a token that has been used, so somebody holds a copy (RFC 9700 §4.14.2).
    """
    if presented == current:
        return Refresh.ROTATE
    age = now - rotated_at
    if presented == current - 1 and (age <= PARALLEL or (age <= repeat_for and not current_seen)):
        return Refresh.REPEAT
    return Refresh.REUSED


def issued_at(*, rotated_at: datetime, now: datetime) -> datetime:
    """Return when the session's pair of tokens counts as issued.

    Refreshes that were under way together get one and the same pair, so it is as old as the rotation.
    """
    return rotated_at if timedelta(0) <= now - rotated_at <= PARALLEL else now


def session_expired(
    *, created_at: datetime, last_used_at: datetime, now: datetime, idle: timedelta, absolute: timedelta
) -> bool:
    """Tell whether a session is over by age or by idleness."""
    return now - created_at > absolute or now - last_used_at > idle


def ip_prefix(address: str | None) -> str | None:
    """Return the network of an address, too coarse to name a person: /24 of IPv4, /48 of IPv6."""
    parsed = normalised(address) if address is not None else None
    if parsed is None:
        return None
    bits = 24 if parsed.version == 4 else 48  # noqa: PLR2004 - IP version 4
    return str(ipaddress.ip_network(f"{parsed}/{bits}", strict=False))
