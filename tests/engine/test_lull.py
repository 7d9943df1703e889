"""How long the first step waits for others to join it."""

import pytest

from corral_server.engine.lull import lull_s


def test_a_step_waits_for_a_small_part_of_itself() -> None:
    assert lull_s(0.024, waited_s=0.0) == pytest.approx(0.00075)


def test_a_short_step_begins_at_once() -> None:
    assert lull_s(0.008, waited_s=0.0) == 0.0


def test_however_long_a_step_is_a_millisecond_without_anybody_is_enough() -> None:
    assert lull_s(10.0, waited_s=0.0) == 0.001


@pytest.mark.parametrize("step_s", [0.0, 0.024, 10.0])
def test_a_step_is_never_late_by_more_than_an_eighth_of_itself(step_s: float) -> None:
    assert lull_s(step_s, waited_s=step_s / 8) == 0.0
