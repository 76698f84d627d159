"""Runs the suite, writes report.md, and ends with 1 when a row is missed or too noisy."""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.comparison import Gauge, Result, Row, Sample, compare
from benchmarks.erasure_rows import erasure_rows
from benchmarks.footprint import footprint_rows
from benchmarks.growth import growth_rows
from benchmarks.possession_rows import possession_rows
from benchmarks.references.objects import BareStore
from benchmarks.report import page
from benchmarks.requests_rows import account_rows, consent_rows, photo_rows
from benchmarks.sign_ins import sign_in_rows
from benchmarks.subject import Subject, whole_cluster
from cluster.layout import Layout

GROUPS = ("accounts", "consents", "photos", "erasures", "possessions", "sign-ins", "footprint", "growth")
CONSENTING = 4000
ACCOUNTS = (100_000, 1_000_000)
REPORT = Path(__file__).parent / "report.md"
REMARKS = Path(__file__).parent / "remarks.md"


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=5, help="undisturbed pairs of each row")
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=GROUPS, help="groups of rows")
    parser.add_argument("--storm", type=int, default=1000, help="deletions in a storm")
    parser.add_argument(
        "--accounts",
        type=int,
        nargs="+",
        default=ACCOUNTS,
        help="up to how many accounts growth adds, by steps",
    )
    parser.add_argument("--report", type=Path, default=REPORT, help="where the page is written")
    arguments = parser.parse_args()
    results = asyncio.run(_measure(arguments))
    print(arguments.report.read_text(), flush=True)
    return 0 if all(result.verdict == "kept" for result in results) else 1


async def _measure(arguments: argparse.Namespace) -> list[Result]:
    gauge, results = Gauge(), []
    remarks = REMARKS.read_text() if REMARKS.exists() else ""
    async with whole_cluster() as subject:
        servers = f"PostgreSQL {await subject.value('SHOW server_version')}, durable"
        await subject.read_text_version()
        for group in arguments.only:
            async with AsyncExitStack() as stack:
                for row in await _prepared(subject, stack, group, arguments):
                    results.append(await compare(row, gauge, pairs=arguments.rounds))
                    # After each row, so that a run of an hour that is ended early has said what it found.
                    arguments.report.write_text(page(results, servers=servers, remarks=remarks))
    return results


async def _prepared(
    subject: Subject, stack: AsyncExitStack, group: str, arguments: argparse.Namespace
) -> list[Row]:
    """Return the rows of a group, or one that fails because they could not be prepared."""
    try:
        return await _rows(subject, stack, group, arguments)
    except Exception as error:  # noqa: BLE001 - the row raises it, and the other groups are measured
        failure = error

    async def fail() -> Sample:
        raise failure

    return [Row(f"{group}: preparing them", "", fail, None, 0)]


async def _rows(
    subject: Subject, stack: AsyncExitStack, group: str, arguments: argparse.Namespace
) -> list[Row]:
    match group:
        case "accounts":
            rows = await account_rows(subject, stack, Layout.of().var / "benchmarks")
        case "consents":
            rows = await consent_rows(subject, await subject.sign_in(CONSENTING))
        case "photos":
            rows = await photo_rows(subject, stack)
        case "erasures":
            rows = await erasure_rows(subject, stack, storm=arguments.storm)
        case "possessions":
            store = BareStore(subject.platform.servers.s3_endpoint, subject.platform.servers.s3_admin)
            store.prepare()
            rows = await possession_rows(subject, store)
        case "sign-ins":
            rows = await sign_in_rows(subject)
        case "footprint":
            rows = footprint_rows(subject)
        case _:
            (person,) = await subject.sign_in(1)
            rows = await growth_rows(subject, person, arguments.accounts)
    return rows


if __name__ == "__main__":
    sys.exit(main())
