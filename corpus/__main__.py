"""Feeds the corpus to the running cluster, writes docs/pictures.md, ends with 1 when anything is wrong."""

import argparse
import asyncio
import sys
from pathlib import Path

from cluster import env_file
from cluster.errors import ClusterError
from cluster.layout import Layout
from corpus.feed import Outcome, Served, Traffic, feed
from corpus.fetch import fetch
from corpus.judge import Opinion, judge, prepare
from corpus.leaks import find_leaks, install_exiftool
from corpus.pick import Sample, pick
from corpus.report import Findings, write
from demo.client import open_http

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/pictures.md"
DOWNLOADS = ROOT / "var/corpus"


def main() -> int:
    """Fetch, feed, look and report."""
    parser = argparse.ArgumentParser(prog="python -m corpus", description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE, help="the page whose second part is written")
    parser.add_argument(
        "--only", default="", help="feed only files whose name has this in it, and write no page"
    )
    arguments = parser.parse_args()
    try:
        install_exiftool()
        archives, missing = fetch(DOWNLOADS)
        print(*missing, sep="\n", end="\n" if missing else "")
        samples = [sample for sample in pick(archives) if arguments.only in sample.name]
        findings = asyncio.run(_run(samples))
    except (ClusterError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not arguments.only:
        write(arguments.page, findings)
    accepted = sum(one.accepted for one in findings.outcomes)
    print(*findings.faults, sep="\n")
    print(
        f"{len(samples)} files: {accepted} accepted, {len(samples) - accepted} refused; "
        f"{len(findings.failures)} of {findings.statuses.total()} answers are 5xx, "
        f"{len(findings.leaks)} leaks, "
        f"{len(findings.opened_but_refused)} opened but refused"
    )
    return 1 if findings.faults else 0


async def _run(samples: list[Sample]) -> Findings:
    values = env_file.load(Layout.of(None).env_file)
    traffic, outcomes = Traffic(), list[Outcome]()
    opinions: dict[str, Opinion] = {}
    prepare()
    async with open_http() as http:
        async for outcome in feed(http, values["PUBLIC_URL"].rstrip("/"), samples, traffic):
            outcomes.append(outcome)
            opinions[outcome.sample.name] = await asyncio.to_thread(judge, outcome.sample.body)
            print(f"{outcome.status} {outcome.problem or 'accepted'}  {outcome.sample.name}", flush=True)
    served = {
        f"{one.sample.name} ({rendition})": read
        for one in outcomes
        for rendition, read in one.renditions.items()
    }
    leaks = await asyncio.to_thread(find_leaks, served, DOWNLOADS / "served")
    # The same look at what was sent shows that it sees.
    sent = {one.sample.name: Served(one.sample.declared, one.sample.body) for one in outcomes if one.accepted}
    found = await asyncio.to_thread(find_leaks, sent, DOWNLOADS / "sent")
    names = {line.partition(": ")[0] for line in found}
    return Findings(outcomes, opinions, traffic.statuses, traffic.failures, leaks, len(names))


if __name__ == "__main__":
    sys.exit(main())
