"""Lengths that fill a space."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.packing import best_fit

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=7)


def test_others_are_passed_over_for_what_fills_the_space() -> None:
    assert best_fit([5, 4, 9, 7], 12) == [0, 3]


def test_the_first_is_always_chosen() -> None:
    assert best_fit([5, 12], 12) == [0]


def test_earlier_ones_are_preferred() -> None:
    assert best_fit([2, 3, 3, 3], 8) == [0, 1, 2]


def test_what_is_longer_than_the_space_is_never_chosen() -> None:
    assert best_fit([2, 1000, 3], 8) == [0, 2]


@given(LENGTHS, st.integers(0, 30))
def test_no_choice_with_the_first_fills_more(lengths: list[int], spare: int) -> None:
    capacity = lengths[0] + spare
    chosen = best_fit(lengths, capacity)
    others = range(1, len(lengths))
    sums = [
        lengths[0] + sum(lengths[position] for position in choice)
        for count in range(len(lengths))
        for choice in combinations(others, count)
    ]
    assert chosen == sorted(set(chosen)) and chosen[0] == 0
    assert sum(lengths[position] for position in chosen) == max(s for s in sums if s <= capacity)
