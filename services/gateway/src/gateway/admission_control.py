"""Who may pass: places, the token or the link, ended sessions and the limits."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from starlette.types import Scope

from chassis.auth import LEEWAY_SECONDS, AccessTokens, Principal
from chassis.clock import Clock
from chassis.problems import InvalidToken, Unauthorized
from gateway.headers import Network, answer_headers, client_address, header
from gateway.limits import ConcurrencyLimits, RateLimits
from gateway.problems import LinkGone, LinkRefused, RevocationsUnknown
from gateway.revocations import DenyList, RevocationFeed
from gateway.routes import Access, Ends, RateClass, Route
from gateway.session_activity import SessionActivity
from gateway.siblings import Siblings

_ONE_SPELLING = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

DATE_PRECISION = timedelta(seconds=2)
"""Servers write the Date of an answer once a second, and cut it to whole seconds."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from, and from whom, where it has a token."""

    address: str
    principal: Principal | None


@dataclass(frozen=True)
class AdmissionControl:
    """Admits a request or raises the Problem that refuses it."""

    tokens: AccessTokens
    denylist: DenyList
    siblings: Siblings
    feed: RevocationFeed
    activity: SessionActivity
    rates: RateLimits
    places: ConcurrencyLimits
    clock: Clock
    trusted_proxies: Sequence[Network]

    @asynccontextmanager
    async def admitted(self, route: Route, scope: Scope) -> AsyncIterator[Caller]:
        """Return who calls, counted against their limits; they hold their places while the block runs."""
        address = client_address(scope, self.trusted_proxies)
        with ExitStack() as held:
            held.enter_context(self.places.for_address(address))
            if route.access is Access.BEARER:
                principal = await self._person(route, scope, address)
                held.enter_context(self.places.for_person(str(principal.user_id)))
                yield Caller(address, principal)
                return
            await self._count(route.rate, scope, address)
            if route.access is Access.LINK:
                held.enter_context(self.places.for_person(str(self._session_of_link(scope))))
            yield Caller(address, None)

    async def count_public(self, scope: Scope) -> None:
        """Count a request for something that anybody may read; raises `QuotaExceeded`."""
        await self._count(RateClass.PUBLIC, scope, client_address(scope, self.trusted_proxies))

    def end_sessions(self, principal: Principal, ends: Ends, path: str, *, answered: str | None) -> None:
        """Refuse from now on what a successful call to `path` has ended; `answered` is the answer's Date."""
        if ends is Ends.NAMED_SESSION:
            self._end_session(UUID(path.rsplit("/", 1)[1]))
            return
        self._end_session(principal.session_id)
        if ends is Ends.ALL_SESSIONS:
            # Identity's list names the person's other sessions within a second; until then this refuses them.
            ended_at = moment_of_answer(answered, self.clock.now())
            until = max(ended_at, principal.issued_at)
            self.denylist.deny_person(principal.user_id, until)
            self.siblings.tell_person(principal.user_id, until)

    def _end_session(self, session_id: UUID) -> None:
        self.denylist.deny_session(session_id)
        self.siblings.tell_session(session_id)

    async def _person(self, route: Route, scope: Scope, address: str) -> Principal:
        try:
            principal = await self._identified(route, scope)
        except Unauthorized:
            # Guessing tokens costs a signature check each, so refusals are counted too.
            await self._count(RateClass.REFUSED, scope, address)
            raise
        answer_headers(scope).update(await self.rates.spend(route.rate, str(principal.user_id)))
        return principal

    async def _count(self, rate: RateClass, scope: Scope, address: str) -> None:
        answer_headers(scope).update(await self.rates.spend_address(rate, address))

    async def _identified(self, route: Route, scope: Scope) -> Principal:
        principal = await self.tokens.verify(_bearer_token(scope))
        if principal.expires_at - principal.issued_at > self.denylist.keep - timedelta(
            seconds=LEEWAY_SECONDS
        ):
            # The deny list would forget its session before the token expires.
            log.error("token_lives_too_long", keep_seconds=self.denylist.keep.total_seconds())
            raise InvalidToken
        if not self.feed.fresh:
            raise RevocationsUnknown
        # The receipt of an erasure is the last answer that anybody gets. Who lost it may ask identity for it,
        # which has kept it under their key, and knows without one that the session has ended.
        repeat = route.repeats and header(scope["headers"], b"idempotency-key") is not None
        self.siblings.hear()
        if self.denylist.denies(principal) and not repeat:
            raise InvalidToken("This session has ended. Sign in again.")
        self.activity.record(principal)
        return principal

    def _session_of_link(self, scope: Scope) -> UUID:
        """Return the session of a link that has not ended; that it is the link's own is signed by storage."""
        session_id = _named_session(scope)
        if not self.feed.fresh:
            raise RevocationsUnknown
        self.siblings.hear()
        if self.denylist.denies_session(session_id):
            raise LinkGone
        return session_id


def moment_of_answer(date: str | None, here: datetime) -> datetime:
    """Return when identity answered, by its own clock, which a Date header tells to the second.

    Where that agrees with `here`, this machine's clock tells it better. Where it does not, `here` is wrong,
    and tokens that identity issues from now on would seem to be older than they are.
    """
    if date is None:
        return here
    try:
        said = parsedate_to_datetime(date)
    except ValueError:
        return here
    return here if timedelta() <= here - said <= DATE_PRECISION else said


def _named_session(scope: Scope) -> UUID:
    """Return the session that a link names, once and in one spelling: storage must not read another one."""
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    named = [value for name, value in query if name == "session"]
    if len(named) != 1 or not _ONE_SPELLING.fullmatch(named[0]):
        raise LinkRefused
    return UUID(named[0])


def _bearer_token(scope: Scope) -> str:
    scheme, _, token = (header(scope["headers"], b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    return token.strip()
