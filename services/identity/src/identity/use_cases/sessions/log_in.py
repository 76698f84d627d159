"""Sign in with address and password."""

from dataclasses import dataclass
from uuid import UUID

from chassis.db import Database, UnitOfWork
from chassis.ids import new_id
from contracts.fields import RevocationReason
from contracts.identity import UserActive
from identity.account_rules import AccountRules
from identity.addresses import email_key
from identity.models import Session
from identity.passwords import Argon2Pool
from identity.policy import InvalidCredentials
from identity.repositories import Sessions, Users
from identity.timing_floor import timing_floor
from identity.tokens import AuthorizedSession
from identity.use_cases.sessions.end_session import announce_revocation

LOOK_SECONDS = 0.005
"""Several times what a look takes: finding an account takes a little longer than finding none."""
UNPROVED = (
    "The e-mail address or the password is not right, or the address is not confirmed: see our mail to it."
)


@dataclass(frozen=True)
class Device:
    """What a sign-in tells of the device: for the person's own list of sessions."""

    user_agent: str | None = None
    ip_prefix: str | None = None


async def log_in(
    database: Database,
    *,
    hasher: Argon2Pool,
    email: str,
    password: str,
    device: Device,
    rules: AccountRules,
) -> AuthorizedSession:
    """Open a session; raises `InvalidCredentials` for an unknown address and a wrong password alike.

    Where only proved addresses sign in, for an unproved one as well.

    The hash is computed between two transactions, so that no connection waits for it, and the same work is
    done when there is no such account.
    """
    async with timing_floor(LOOK_SECONDS), database.read_only() as session:
        user = await Users(session).with_email(email_key(email))
    stored = user.password_hash if user is not None else None
    fits, better_hash = await hasher.verify(password, stored)
    refusal = InvalidCredentials(UNPROVED if rules.proved_only else None)
    if user is None or stored is None or not fits or (rules.proved_only and not user.is_verified):
        raise refusal
    async with database.unit_of_work() as uow:
        users = Users(uow.session)
        # A password that was changed, or an account that was deleted, while the hash was computed wins.
        if not await users.hold_unchanged(user.id, password_hash=stored):
            raise refusal
        if better_hash is not None:
            await users.set_password_hash(user.id, better_hash)
        return await open_session(uow, user.id, device=device, rules=rules)


async def open_session(
    uow: UnitOfWork, user_id: UUID, *, device: Device, rules: AccountRules
) -> AuthorizedSession:
    """Start a session of the account, which the caller has locked; the oldest ends if there are too many."""
    now, reason = uow.now(), RevocationReason.SECURITY
    session = Session(
        id=new_id(),
        user_id=user_id,
        generation=1,
        rotated_at=now,
        authenticated_at=now,
        created_at=now,
        last_used_at=now,
        user_agent=device.user_agent,
        ip_prefix=device.ip_prefix,
    )
    end = rules.session_end(reason, now)
    ended, first_today, verified = await Sessions(uow.session).begin(session, most=rules.most, superseded=end)
    for gone in ended:
        announce_revocation(uow, user_id=user_id, session_id=gone, reason=reason)
    if first_today:
        # At most once a day: it restarts retention clocks elsewhere.
        uow.publish(UserActive(user_id=user_id, active_on=now.date()))
    return AuthorizedSession(session, email_verified=verified)
