"""Runs the suite, writes report.md, and ends with 1 when a bar is missed."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measures
from benchmarks.neighbours import share_of_others, usage
from benchmarks.report import Round, bars_of, page
from identity.settings import IdentitySettings
from support.api_process import ApiProcess, api_process
from support.native import native_servers
from support.people import create_accounts
from support.platform import Platform, prepared

ACCOUNTS = 30_000
LOGIN_CLIENTS = 16
FLOOD_CLIENTS = 4
SECONDS = 6.0
REQUESTS = 300
MOST_ROUNDS_PER_WANTED = 3
"""How many times the wanted number of rounds is tried before the machine counts as too busy."""
FEWEST_ROUNDS = 3
REPORT = Path(__file__).parent / "report.md"


@dataclass(frozen=True)
class Subject:
    """What is measured."""

    api: ApiProcess
    settings: IdentitySettings
    stored: str
    emails: Iterator[str]
    bearer: str

    async def bare(self) -> float:
        """Return passwords per second without an API."""
        return await asyncio.to_thread(
            measures.bare_verifications, self.settings, self.stored, seconds=SECONDS
        )

    async def round(self, bare_before: float) -> Round:
        """Measure everything once, one thing after the other."""
        before = usage()
        logins = await measures.logins(self.api, self.emails, clients=LOGIN_CLIENTS, seconds=SECONDS)
        others = share_of_others(before, usage())
        bare_after = await self.bare()
        idle = await measures.me_milliseconds(self.api, self.bearer, requests=REQUESTS)
        flooded = await measures.me_during_logins(
            self.api, self.bearer, self.emails, clients=FLOOD_CLIENTS, requests=REQUESTS
        )
        return Round(bare_before, bare_after, logins, measures.middle(idle), measures.middle(flooded), others)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", type=Path, default=REPORT, help="where the page is written")
    arguments = parser.parse_args()
    with native_servers(durable=True) as servers:
        platform = asyncio.run(prepared(servers))
        text, failures = asyncio.run(_measure(platform, arguments.rounds))
    if text:
        arguments.report.write_text(text)
    print(text, *failures, sep="\n", flush=True)
    return 1 if failures else 0


async def _measure(platform: Platform, wanted: int) -> tuple[str, list[str]]:
    """Return the page and what is wrong; no page when the machine was too busy for figures."""
    platform.migrate("identity")
    with platform.variables_of("identity"):
        settings = IdentitySettings()
    stored = measures.scheme(settings).hash(measures.PASSWORD)
    emails = iter(await create_accounts(platform, ACCOUNTS, password_hash=stored))
    # The access log is written, as in production, and goes nowhere.
    async with api_process(platform, "identity", silent=True, IDENTITY_LOG_LEVEL="INFO") as api:
        bearer = await measures.access_token(api, next(emails))
        subject = Subject(api, settings, stored, emails, bearer)
        quiet, all_rounds = await _quiet_rounds(subject, wanted)
    if len(quiet) < min(wanted, FEWEST_ROUNDS):
        return "", [f"too noisy: of {all_rounds} rounds only {len(quiet)} were undisturbed"]
    bars = bars_of(quiet)
    about = (
        f"argon2id with {settings.argon2_memory_kib} KiB, {settings.argon2_iterations} passes, "
        f"{settings.argon2_parallelism} lane, {settings.argon2_threads} thread(s); {LOGIN_CLIENTS} clients "
        f"sign in for {SECONDS:g} s, {FLOOD_CLIENTS} during {REQUESTS} calls of `GET /users/me`"
    )
    text = page(bars, quiet, about=about, of_rounds=all_rounds, servers=await _servers(platform))
    return text, [f"missed: {bar.name} is {bar.figure:.2f}" for bar in bars if not bar.kept]


async def _quiet_rounds(subject: Subject, wanted: int) -> tuple[list[Round], int]:
    """Measure until enough rounds were undisturbed; return them and how many there were in all."""
    await measures.logins(subject.api, subject.emails, clients=LOGIN_CLIENTS, seconds=1)
    quiet: list[Round] = []
    bare, done = await subject.bare(), 0
    while len(quiet) < wanted and done < wanted * MOST_ROUNDS_PER_WANTED:
        measured = await subject.round(bare)
        bare, done = measured.bare_after, done + 1
        quiet += [measured] if measured.is_quiet else []
        print(f"round {done}: {measured}", flush=True)
    return quiet, done


async def _servers(platform: Platform) -> str:
    connection = await platform.connect_as_admin()
    try:
        return f"PostgreSQL {(await connection.fetchval('SHOW server_version')).split()[0]}, durable"
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
