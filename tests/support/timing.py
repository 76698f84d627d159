"""Whether two kinds of requests can be told apart by how long their answers take."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Pairs:
    """Milliseconds of two kinds of requests, taken in turns."""

    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)

    @property
    def gap(self) -> float:
        """How far the medians are apart, in milliseconds."""
        return abs(median(self.first) - median(self.second))

    @property
    def auc(self) -> float:
        """How well the best threshold on the time tells one kind from the other: 0.5 not at all, 1 always."""
        return separability(self.first, self.second)

    def __str__(self) -> str:
        return (
            f"{len(self.first)} pairs, medians {median(self.first):.2f} and {median(self.second):.2f} ms, "
            f"gap {self.gap:.2f} ms, AUC {self.auc:.3f}"
        )


def separability(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the area under the ROC curve, from the ranks of both samples (Mann-Whitney U), at least 0.5."""
    everything = sorted([*first, *second])
    mean_rank: dict[float, float] = {}
    for position, value in enumerate(everything):
        # Equal values share the mean of the places that they take.
        mean_rank.setdefault(value, position + 1 + (everything.count(value) - 1) / 2)
    wins = sum(mean_rank[value] for value in first) - len(first) * (len(first) + 1) / 2
    area = wins / (len(first) * len(second))
    return max(area, 1 - area)
