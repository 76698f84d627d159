"""Rows about growth: the same requests with few accounts and with many, ten entries in the ledger each."""

from statistics import median

from benchmarks.client import request
from benchmarks.comparison import Measure, Row, Sample
from benchmarks.erasure_rows import Ours
from benchmarks.load import closed_loop, repeating
from benchmarks.subject import API, Person, Subject

ENTRIES = 10
SECONDS = 3.0
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
        number, now(), repeat('0', 64), id, gen_random_uuid(), decode(repeat('00', 16), 'hex'),
        now() + interval '1 year'
    FROM benchmark_people, generate_series(1, $1::int) AS number
"""
GATES = """
    INSERT INTO consent.gates (user_id, consent_type, epoch, ended_epoch)
    SELECT id, 'marketing', $1::int, 0 FROM benchmark_people
"""
SESSIONS = """
    INSERT INTO identity.sessions
        (id, user_id, generation, rotated_at, authenticated_at, created_at, last_used_at)
    SELECT gen_random_uuid(), id, 1, now(), now(), now(), now()
    FROM benchmark_people, generate_series(1, $1::int)
"""
SESSIONS_EACH = 2


async def grow(subject: Subject, accounts: int) -> None:
    """Write accounts that do nothing, with their entries, straight into the tables."""
    connection = await subject.connect()
    try:
        await connection.execute(
            "CREATE TEMPORARY TABLE benchmark_people AS"
            f" SELECT gen_random_uuid() AS id FROM generate_series(1, {accounts})"
        )
        await connection.execute(ACCOUNTS)
        await connection.execute(ENTRY, ENTRIES)
        await connection.execute(GATES, ENTRIES)
        await connection.execute(SESSIONS, SESSIONS_EACH)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def growth_rows(subject: Subject, person: Person, accounts: int) -> list[Row]:
    """Measure each request now, then with `accounts` more; the first figures are the references."""
    asks = {
        "`GET /users/me`": request("GET", f"{API}/users/me", person.headers),
        "the biometric status": request("GET", f"{API}/privacy/consent/biometric-status", person.headers),
    }
    before = {name: await _p50(subject, ask)() for name, ask in asks.items()}
    deleting, deletion = Ours(subject).answers, "the answer to a deletion"
    before[deletion] = await deleting()
    await grow(subject, accounts)

    def remembered(name: str) -> Measure:
        async def measure() -> Sample:
            return before[name]

        return measure

    sessions = f"{deletion} p50 with {accounts * SESSIONS_EACH:,} sessions more / before"
    return [Row(sessions, "ms", deleting, remembered(deletion), 1.2, at_most=True)] + [
        Row(
            f"{name} p50 with {accounts:,} accounts more / before",
            "ms",
            _p50(subject, ask),
            remembered(name),
            1.3,
            at_most=True,
        )
        for name, ask in asks.items()
    ]


def _p50(subject: Subject, ask: bytes) -> Measure:
    async def measure() -> Sample:
        step = repeating(iter(lambda: ask, None))
        load = await closed_loop(subject.gateway, step, clients=1, seconds=SECONDS)
        return Sample(median(load.milliseconds))

    return measure
