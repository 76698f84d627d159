"""Rows about growth: the same requests with few accounts and with many, ten entries in the ledger each."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median

from benchmarks import processes
from benchmarks.client import request
from benchmarks.comparison import Measure, Row, Sample
from benchmarks.erasure_rows import Ours
from benchmarks.load import closed_loop, repeating
from benchmarks.subject import API, Person, Subject, until_zero

ENTRIES = 10
SESSIONS_EACH = 2
SECONDS = 3.0
MOST_OF_ACCOUNTS, MOST_OF_SESSIONS = 1.3, 1.2
# Ids rise with time, as those that the services make; so an index grows at its end.
PEOPLE = """
    CREATE TEMPORARY TABLE benchmark_people AS
    SELECT account, (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7000'
        || lpad(to_hex(account), 16, '0'))::uuid AS id
    FROM generate_series(1, {accounts}) AS account
"""
ACCOUNTS = """
    INSERT INTO identity.users (id, email, email_key, password_hash, auth_provider, is_active, is_verified,
        created_at, updated_at)
    SELECT id, id || '@example.org', id || '@example.org', 'none', 'email', true, true, now(), now()
    FROM benchmark_people
"""
ENTRY = """
    INSERT INTO consent.entries (kind, consent_type, jurisdiction, jurisdictions, consent_text_version,
        text_digest, locale, ruleset_version, ruleset_digest, epoch, occurred_at, commitment, user_id,
        consent_id, salt, expires_at)
    SELECT 'grant', 'marketing', 'gdpr', ARRAY['gdpr'], '1.0', repeat('0', 64), 'en', '1', repeat('0', 64),
        epoch, now(), repeat('0', 64), id,
        overlay(id::text PLACING lpad(to_hex(epoch), 4, '0') FROM 20)::uuid,
        decode(repeat('00', 16), 'hex'), now() + interval '1 year'
    FROM benchmark_people, generate_series(1, $1::int) AS epoch
"""
GATES = """
    INSERT INTO consent.gates (user_id, consent_type, epoch, ended_epoch, position)
    SELECT id, 'marketing', $1::int, 0, nextval('consent.gate_positions') FROM benchmark_people
"""
SESSIONS = """
    INSERT INTO identity.sessions
        (id, user_id, generation, rotated_at, authenticated_at, created_at, last_used_at)
    SELECT overlay(id::text PLACING lpad(to_hex(number), 4, '0') FROM 20)::uuid,
        id, 1, now(), now(), now(), now()
    FROM benchmark_people, generate_series(1, $1::int) AS number
"""
BEGIN_AGAIN = "UPDATE storage.feed_positions SET position = 0 WHERE feed = 'consents'"
HEARD_OF = """
    UPDATE storage.feed_positions SET position = (SELECT last_value FROM consent.gate_positions)
    WHERE feed = 'consents'
"""
NOT_BEGUN = "SELECT count(*) FROM storage.feed_positions WHERE feed = 'consents' AND position = 0"
RECONCILE = (sys.executable, "-m", "storage", "reconcile", "--only", "consents")


class Growth:
    """Accounts, each with entries, a gate and sessions, written straight into the tables as far as wanted."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._accounts = 0

    async def to(self, accounts: int) -> None:
        """Add what is missing up to so many accounts, and have storage hear of their gates."""
        missing, self._accounts = accounts - self._accounts, max(accounts, self._accounts)
        if missing <= 0:
            return
        connection = await self._subject.connect()
        try:
            # The log has a figure of its own; here the sealing of its leaves would keep the machine busy.
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(PEOPLE.format(accounts=missing))
            await connection.execute(ACCOUNTS)
            await connection.execute(ENTRY, ENTRIES)
            await connection.execute(GATES, ENTRIES)
            await connection.execute(SESSIONS, SESSIONS_EACH)
            await connection.execute("DROP TABLE benchmark_people")
            await connection.execute(HEARD_OF)
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()

    @asynccontextmanager
    async def reconciling(self) -> AsyncIterator[None]:
        """Have storage go through the whole feed of gates, from its beginning, while the block lasts."""
        connection = await self._subject.connect()
        try:
            await connection.execute(BEGIN_AGAIN)
        finally:
            await connection.close()
        async with processes.running(RECONCILE, self._subject.platform.environment("storage")):
            await self._until(NOT_BEGUN)
            yield

    def beside_reconciliation(self, measure: Measure) -> Measure:
        """Return the same measure, taken while storage goes through the whole feed."""

        async def measured() -> Sample:
            async with self.reconciling():
                return await measure()

        return measured

    async def _until(self, query: str) -> None:
        connection = await self._subject.connect()
        try:
            await until_zero(connection, query)
        finally:
            await connection.close()


async def growth_rows(subject: Subject, person: Person, steps: Sequence[int]) -> list[Row]:
    """Measure each request now, then with as many accounts more as each step says.

    The first figures are the references. With more accounts each is measured at rest, and beside a
    reconciliation of all their gates.
    """
    asks = {
        "`GET /users/me`": request("GET", f"{API}/users/me", person.headers),
        "the biometric status": request("GET", f"{API}/privacy/consent/biometric-status", person.headers),
    }
    growth = Growth(subject)
    measures = {name: _p50(subject, ask) for name, ask in asks.items()}
    deletion, deleting = "the answer to a deletion", Ours(subject).answers
    before = {name: await measure() for name, measure in (measures | {deletion: deleting}).items()}

    def row(name: str, measure: Measure, step: int, more: str, wanted: float) -> Row:
        async def with_more() -> Sample:
            await growth.to(step)
            return await measure()

        async def remembered() -> Sample:
            return before[name]

        return Row(f"{name} p50 with {more} / before", "ms", with_more, remembered, wanted, at_most=True)

    rows = []
    for step in steps:
        more = f"{step:,} accounts more"
        for name, measure in measures.items():
            beside = growth.beside_reconciliation(measure)
            rows.append(row(name, measure, step, more, MOST_OF_ACCOUNTS))
            rows.append(row(name, beside, step, f"{more} and their reconciliation", MOST_OF_ACCOUNTS))
        sessions = f"{step * SESSIONS_EACH:,} sessions more"
        rows.append(row(deletion, deleting, step, sessions, MOST_OF_SESSIONS))
    return rows


def _p50(subject: Subject, ask: bytes) -> Measure:
    async def measure() -> Sample:
        step = repeating(iter(lambda: ask, None))
        load = await closed_loop(subject.gateway, step, clients=1, seconds=SECONDS)
        return Sample(median(load.milliseconds))

    return measure
