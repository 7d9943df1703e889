"""Medians, spreads, and ratios of what was measured in turn.

Machines drift by more than what is looked for, so the two sides of a ratio are always of the same
repetition, one measured right after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some numbers, between the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 of at least one value do not exceed; 1 to 99. Between two
    values, as far between them as it falls."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[tuple[float, float]]:
    """Both values of each repetition that has both, in order."""
    return [(ours[number], theirs[number]) for number in sorted(ours.keys() & theirs.keys())]


def ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """Of ours to theirs, by repetition; None where no repetition has both."""
    found = [our / their for our, their in paired(ours, theirs) if their]
    return spread(found) if found else None


def differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """Of ours over theirs, by repetition; None where no repetition has both."""
    found = [our - their for our, their in paired(ours, theirs)]
    return spread(found) if found else None
