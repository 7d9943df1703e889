"""How a step's tokens are divided among prompts."""

from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.division import Want, divide


def wants(*gaps: int) -> list[Want]:
    """Prompts of which all may be computed, the oldest first."""
    return [Want(gap, gap) for gap in gaps]


def test_nobody_gets_nothing() -> None:
    assert divide(100, []) == []


def test_where_there_is_enough_for_all_all_get_all() -> None:
    assert divide(100, wants(60, 10, 30)) == [60, 10, 30]


def test_the_oldest_gets_a_quarter_and_the_shortest_the_rest() -> None:
    assert divide(100, wants(500, 90, 50)) == [25, 25, 50]


def test_what_the_shorter_ones_leave_is_for_the_oldest_too() -> None:
    assert divide(100, wants(500, 20)) == [80, 20]


def test_of_equals_the_older_ones_begin_sooner() -> None:
    assert divide(100, wants(60, 60, 60)) == [60, 40, 0]


def test_nobody_gets_more_than_may_be_computed_now() -> None:
    assert divide(100, [Want(80, 30), Want(90, 50), Want(200, 200)]) == [30, 50, 20]


@given(
    budget=st.integers(1, 600),
    gaps=st.lists(st.tuples(st.integers(2, 900), st.integers(1, 900)), min_size=1, max_size=40),
)
def test_all_is_given_out_that_somebody_can_use(budget: int, gaps: list[tuple[int, int]]) -> None:
    asked = [Want(gap, min(gap, most)) for gap, most in gaps]
    given_out = divide(budget, asked)
    assert all(0 <= count <= want.most for count, want in zip(given_out, asked, strict=True))
    assert sum(given_out) == min(budget, sum(want.most for want in asked))
    assert given_out[0] > 0
