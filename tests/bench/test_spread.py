"""Ratios are of runs that were measured one right after the other."""

import pytest

from bench.spread import Spread, differences, percentile, ratios, spread


def test_a_ratio_is_of_the_same_repetition() -> None:
    # A machine that slows to a half between repetitions changes no ratio.
    assert ratios({1: 20.0, 2: 10.0}, {1: 10.0, 2: 5.0}) == Spread(2, 2, 2)


def test_a_repetition_with_one_side_only_does_not_count() -> None:
    assert ratios({1: 2.0, 2: 9.0}, {1: 1.0, 3: 1.0}) == Spread(2, 2, 2)


def test_without_a_common_repetition_there_is_no_ratio() -> None:
    assert ratios({1: 2.0}, {2: 1.0}) is None
    assert differences({1: 2.0}, {2: 1.0}) is None


def test_nothing_is_divided_by_nothing() -> None:
    assert ratios({1: 2.0, 2: 3.0}, {1: 0.0, 2: 1.0}) == Spread(3, 3, 3)


def test_the_median_of_ratios_is_not_the_ratio_of_medians() -> None:
    ours, theirs = {1: 1.0, 2: 4.0, 3: 9.0}, {1: 1.0, 2: 2.0, 3: 3.0}
    assert ratios(ours, theirs) == Spread(2, 1, 3)


def test_differences_are_of_the_same_repetition() -> None:
    assert differences({1: 5.0, 2: 7.0, 3: 6.0}, {1: 4.0, 2: 4.0, 3: 4.0}) == Spread(2, 1, 3)


def test_spread_has_both_ends() -> None:
    assert spread([3.0, 1.0, 10.0]) == Spread(3, 1, 10)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.0), (99, 99.0), (1, 1.0)])
def test_percentiles_lie_between_the_values(percent: int, expected: float) -> None:
    assert percentile([float(value) for value in range(101)], percent) == pytest.approx(expected)


def test_one_value_is_every_percentile() -> None:
    assert percentile([7.0], 99) == 7
