"""Ours beside a reference, in turns and in one run; what counts is the ratio of each pair."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks import machine

LEAST_GAUGE = 0.85
"""Which part of the best that the machine has shown it must have left before a pair counts."""
LOOKS = 3
"""Of how many the best counts: on a machine of nobody else's, one in two is a third short for a moment."""
FEWEST_PAIRS = 3
TRIES_PER_PAIR = 3


@dataclass(frozen=True)
class Sample:
    """One figure, and the CPU milliseconds per request beside it where it has any."""

    value: float
    cpu: float = 0.0


Measure = Callable[[], Awaitable[Sample]]


@dataclass(frozen=True)
class Row:
    """What is compared. `value` is a rate, or milliseconds; the ratio is ours to the reference's.

    `wanted` is the least ratio, or the most when `at_most` is set. A row without a reference is an
    absolute figure: its ratio is the value itself.
    """

    name: str
    unit: str
    ours: Measure
    reference: Measure | None
    wanted: float
    at_most: bool = False


@dataclass
class Result:
    """The pairs of one row; `failure` says what ended it before it had enough of them."""

    row: Row
    failure: str = ""
    ours: list[Sample] = field(default_factory=list)
    references: list[Sample] = field(default_factory=list)
    discarded: int = 0

    @property
    def ratios(self) -> list[float]:
        """Ours to the reference's, pair by pair."""
        if self.row.reference is None:
            return [one.value for one in self.ours]
        return [one.value / other.value for one, other in zip(self.ours, self.references, strict=True)]

    @property
    def verdict(self) -> str:
        """Whether the median of the ratios is what is wanted."""
        if self.failure:
            return f"failed: {self.failure}"
        if len(self.ours) < FEWEST_PAIRS:
            return "too noisy"
        figure = median(self.ratios)
        kept = figure <= self.row.wanted if self.row.at_most else figure >= self.row.wanted
        return "kept" if kept else "missed"


class Gauge:
    """How much of the machine is ours, against the best that was seen in this run."""

    def __init__(self) -> None:
        self._best = self._look()

    async def share(self) -> float:
        """Return 0 to 1, once what was measured before has ended its work."""
        await machine.settled()
        seen = self._look()
        self._best = max(self._best, seen)
        return seen / self._best

    @staticmethod
    def _look() -> float:
        return max(machine.gauge() for _ in range(LOOKS))


async def compare(row: Row, gauge: Gauge, *, pairs: int) -> Result:
    """Measure A B A B until enough pairs were undisturbed, too many were not, or one has failed."""
    result = Result(row)
    try:
        await _measure(result, gauge, pairs)
    except Exception as error:  # noqa: BLE001 - the report says so, and the other rows are measured
        result.failure = type(error).__name__
        print(f"{row.name}: {error!r}", flush=True)
    return result


async def _measure(result: Result, gauge: Gauge, pairs: int) -> None:
    row = result.row
    while len(result.ours) < pairs and result.discarded < pairs * (TRIES_PER_PAIR - 1):
        shares = [await gauge.share()]
        ours = await row.ours()
        shares.append(await gauge.share())
        reference = await row.reference() if row.reference is not None else None
        shares.append(await gauge.share())
        quiet = min(shares) >= LEAST_GAUGE
        shown = f" / {reference.value:.1f} = {ours.value / reference.value:.3f}" if reference else ""
        note = "" if quiet else " (disturbed)"
        print(f"{row.name}: {ours.value:.1f}{shown} {row.unit}{note}", flush=True)
        if not quiet:
            result.discarded += 1
            continue
        result.ours.append(ours)
        if reference is not None:
            result.references.append(reference)
