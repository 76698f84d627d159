"""What one account or one address may try in a time; sessions that exist are never touched by it.

The gateway counts per client address. Here the account is counted, because guesses at one account come from
many addresses: its owner's network has a number of its own, so that strangers who use up the account's can't
lock the owner out where the owner is signed in (NIST 800-63B-4 §3.2.2).
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from uuid import UUID

from limits import RateLimitItem
from limits import parse as parse_limit
from redis.asyncio import Redis

from chassis.counters import Counters, QuotaExceeded, counts_of
from identity.addresses import email_key


class Limit(StrEnum):
    """The names of the limits."""

    LOGIN_HERE = "login-account-network"
    LOGIN = "login-account"
    RESET = "password-reset"
    DELETION = "account-deletion"
    MAIL = "mail"
    NOTICE = "notice"
    RECIPIENT = "mail-recipient"
    FIRST_CONFIRMATION = "first-confirmation"
    PASSWORD_CHECK = "password-check"  # noqa: S105 - a name
    PREVIEW = "erasure-preview"


LIMITS: dict[str, RateLimitItem] = {
    Limit.LOGIN_HERE: parse_limit("10/15 minutes"),
    Limit.LOGIN: parse_limit("100/15 minutes"),
    Limit.RESET: parse_limit("3/hour"),
    Limit.DELETION: parse_limit("3/hour"),
    Limit.MAIL: parse_limit("5/hour"),
    Limit.NOTICE: parse_limit("3/day"),
    Limit.RECIPIENT: parse_limit("3/day"),
    Limit.FIRST_CONFIRMATION: parse_limit("1/day"),
    Limit.PASSWORD_CHECK: parse_limit("10/15 minutes"),
    Limit.PREVIEW: parse_limit("30/15 minutes"),
}


COUNTS = counts_of("identity")


class AccountLimits:
    """Counts tries per account, whether or not the account exists."""

    def __init__(self, redis: Redis, *, secret: bytes) -> None:
        """`secret` keys the hashes under which accounts are counted."""
        self._counters = Counters(redis, LIMITS, keys=COUNTS, secret=secret)

    async def before_login(
        self, email: str, ip_prefix: str | None, *, from_known_network: Callable[[], Awaitable[bool]]
    ) -> None:
        """Count a sign-in before its password is checked; raises `QuotaExceeded`.

        `from_known_network` says whether the account has a session in this network: there its own number is
        enough, so that nobody keeps an owner out by guessing from elsewhere. It is asked only when the other
        is used up.
        """
        account = email_key(email)
        counted = [(Limit.LOGIN_HERE, f"{account}|{ip_prefix}"), (Limit.LOGIN, account)]
        here, *anywhere = await self._counters.take_all(counted)
        if not here.allowed:
            raise QuotaExceeded(Limit.LOGIN_HERE, here.reset_seconds)
        if not all(one.allowed for one in anywhere) and not await from_known_network():
            raise QuotaExceeded(Limit.LOGIN, anywhere[0].reset_seconds)

    async def after_login(self, email: str, ip_prefix: str | None) -> None:
        """Begin anew after a success: only guessing is to be stopped."""
        await self._counters.forgive(Limit.LOGIN_HERE, f"{email_key(email)}|{ip_prefix}")

    async def before_passkey(self, user_id: UUID) -> None:
        """Count a sign-in with a passkey of that account; raises `QuotaExceeded`.

        Nobody guesses a passkey; what is bounded is what one account may make the database do.
        """
        await self._counters.spend(Limit.LOGIN, str(user_id))

    async def after_reset(self, email: str, ip_prefix: str | None) -> None:
        """Begin anew for a new password: the guesses were at the old one."""
        await self.after_login(email, ip_prefix)
        await self._counters.forgive(Limit.LOGIN, email_key(email))

    async def before_reset(self, email: str) -> bool:
        """Count a request for a reset mail; False when there were too many for one more mail."""
        return (await self._counters.take(Limit.RESET, email_key(email))).allowed

    async def before_deletion(self, email: str) -> bool:
        """Count a request for a mail that deletes; False when there were too many for one more mail."""
        return (await self._counters.take(Limit.DELETION, email_key(email))).allowed

    async def before_notice(self, email: str) -> bool:
        """Count a mail to an owner that a stranger causes; False when there were too many for one more."""
        return (await self._counters.take(Limit.NOTICE, email_key(email))).allowed

    async def before_unasked_mail(self, recipient: str, *, confirmation: bool) -> bool:
        """Count a mail that its recipient may not have asked for; False when it is one too many.

        The first `confirmation` of a day has a number of its own, so that nobody keeps an address from
        signing up by having it mailed to.
        """
        mailbox, first = email_key(recipient), Limit.FIRST_CONFIRMATION
        if confirmation and (await self._counters.take(first, mailbox)).allowed:
            return True
        return (await self._counters.take(Limit.RECIPIENT, mailbox)).allowed

    async def before_mail(self, user_id: str) -> None:
        """Count a mail that a signed-in person asks for; raises `QuotaExceeded`."""
        await self._counters.spend(Limit.MAIL, user_id)

    async def before_password_check(self, user_id: str) -> None:
        """Count a check of the current password; raises `QuotaExceeded`."""
        await self._counters.spend(Limit.PASSWORD_CHECK, user_id)

    async def before_preview(self, user_id: str) -> None:
        """Count a question about what an erasure would take, which every service answers.

        Raises `QuotaExceeded`.
        """
        await self._counters.spend(Limit.PREVIEW, user_id)
