"""What a run has found, as the second part of docs/pictures.md."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from corpus.feed import Outcome
from corpus.judge import Opinion
from corpus.packages import PACKAGES

BEGIN: Final = "<!-- What follows is written by `make corpus`. -->"
FEWEST_FILES: Final = 150


@dataclass(frozen=True)
class Findings:
    """Everything that one run has to say."""

    outcomes: Sequence[Outcome]
    opinions: Mapping[str, Opinion]
    statuses: Counter[int]
    failures: Sequence[str]
    leaks: Sequence[str]
    found_in_sent: int
    """In how many of the accepted files the same look finds something as they were sent."""

    @property
    def opened_but_refused(self) -> list[Outcome]:
        """The files that the platform should have accepted."""
        return [
            one
            for one in self.outcomes
            if not one.accepted and self.opinions[one.sample.name].must_be_accepted
        ]

    @property
    def faults(self) -> list[str]:
        """A line for everything that makes the run fail."""
        few = [f"only {len(self.outcomes)} files"] if len(self.outcomes) < FEWEST_FILES else []
        refused = [
            f"{one.sample.name}: {self.opinions[one.sample.name].said} opens, but {one.status} {one.detail}"
            for one in self.opened_but_refused
        ]
        blind = [] if self.found_in_sent else ["the look for leaks finds nothing even in the files as sent"]
        differing = [
            f"{one.sample.name}: {one.status} {one.problem}, but in pieces {one.otherwise}"
            for one in self.outcomes
            if one.otherwise
        ]
        return [*few, *blind, *self.failures, *self.leaks, *refused, *differing]


def write(page: Path, findings: Findings) -> None:
    """Replace the part of the page that a run writes."""
    kept = page.read_text().partition(BEGIN)[0]
    page.write_text(f"{kept}{BEGIN}\n\n{_text(findings)}")


def _text(findings: Findings) -> str:
    outcomes = findings.outcomes
    accepted = sum(one.accepted for one in outcomes)
    figures = {
        "files": len(outcomes),
        "accepted": accepted,
        "refused": len(outcomes) - accepted,
        "answers of 5xx, of all requests": f"{len(findings.failures)} of {findings.statuses.total()}",
        "accepted files in which something is found beside the picture as they were sent": (
            findings.found_in_sent
        ),
        "things that are found beside the picture in what is served": len(findings.leaks),
        "files that become something else when they come in pieces (tus)": sum(
            bool(one.otherwise) for one in outcomes
        ),
        "files within the limits that Pillow or libheif open and that are refused": len(
            findings.opened_but_refused
        ),
    }
    versions = ", ".join(f"{name} {version(name)}" for name in ("pillow", "pi-heif"))
    return f"""## The last run

On {datetime.now(UTC):%Y-%m-%d}, with {versions}.

| what | figure |
|---|---|
{_rows((name, str(value)) for name, value in figures.items())}

| package | version | SHA-256 of its archive |
|---|---|---|
{_rows((f"{one.name} ({one.source})", one.version, f"`{one.sha256}`") for one in PACKAGES)}

## Refused

| answer | why | would Pillow or libheif open it | files |
|---|---|---|---|
{_refused(findings)}

## Accepted

| package | sent as | kept as | files |
|---|---|---|---|
{_accepted(findings)}
"""


def _refused(findings: Findings) -> str:
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in findings.outcomes:
        if not one.accepted:
            opinion = findings.opinions[one.sample.name]
            opens = "yes" if opinion.opens else "no"
            verdict = f"{opens}, but it is beyond a limit: {opinion.limit}" if opinion.limit else opens
            groups[f"{one.status} `{one.problem}`", one.detail, verdict].append(one.sample.name)
    return _rows((*group, _files(names)) for group, names in sorted(groups.items()))


def _accepted(findings: Findings) -> str:
    groups: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in findings.outcomes:
        if one.accepted:
            kept = one.renditions["original"].content_type
            groups[one.sample.package.name, one.sample.declared, kept].append(one.sample.path)
    return _rows((*group, _files(names)) for group, names in sorted(groups.items()))


def _files(names: Sequence[str]) -> str:
    return f"{len(names)}: " + ", ".join(f"`{name}`" for name in sorted(names))


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
