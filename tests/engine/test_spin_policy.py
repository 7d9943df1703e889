"""When threads that wait for each other sleep soon."""

import pytest

from corral_server.engine.spin_policy import SpinPolicy
from corral_server.llama.effort import Effort


class Engine:
    """Computes steps of 10 ms; `heard` is what its threads were told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.heard: list[bool] = []
        self.policy = SpinPolicy(self.heard.append, clock=lambda: self.now)

    @property
    def is_brief(self) -> bool:
        return bool(self.heard) and self.heard[-1]

    def compute(self, seconds: float, *, busy: float, step_s: float = 0.01) -> None:
        """Steps in which the first thread has a processor for the part `busy`."""
        for _ in range(round(seconds / step_s)):
            self.now += step_s
            self.policy.learn(Effort(step_s, busy * step_s))

    def pauses(self, seconds: float, *, busy: float) -> list[float]:
        """How long threads slept soon, each time, while it computes for so long."""
        pauses, began = [], None
        for _ in range(round(seconds / 0.01)):
            self.compute(0.01, busy=busy)
            if self.is_brief and began is None:
                began = self.now
            elif not self.is_brief and began is not None:
                pauses.append(round(self.now - began, 1))
                began = None
        return pauses


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_threads_that_have_their_processors_spin(engine: Engine) -> None:
    engine.compute(60, busy=0.95)
    assert engine.heard == []


def test_beside_another_program_they_sleep_soon(engine: Engine) -> None:
    engine.compute(0.3, busy=0.5)
    assert engine.is_brief


def test_a_program_that_has_only_to_start_is_no_reason(engine: Engine) -> None:
    for _ in range(10):
        engine.compute(0.06, busy=0.4)
        engine.compute(0.44, busy=1.0)
    assert engine.heard == []


def test_short_steps_are_judged_together(engine: Engine) -> None:
    """One of half a millisecond has a processor all the time or not at all."""
    for _ in range(100):
        engine.compute(0.003, busy=0.0, step_s=0.0005)
        engine.compute(0.017, busy=1.0, step_s=0.0005)
    assert engine.heard == []
    engine.compute(0.5, busy=0.5, step_s=0.0005)
    assert engine.is_brief


def test_they_spin_again_a_second_later(engine: Engine) -> None:
    engine.compute(0.3, busy=0.5)
    engine.compute(0.9, busy=0.5)
    assert engine.is_brief
    engine.compute(0.3, busy=1.0)
    engine.compute(60, busy=1.0)
    assert engine.heard == [True, False]


def test_the_longer_the_other_program_computes_the_less_often_they_try(engine: Engine) -> None:
    assert engine.pauses(100, busy=0.5) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0]


def test_what_hindered_them_long_ago_is_forgotten(engine: Engine) -> None:
    engine.pauses(100, busy=0.5)
    engine.compute(100, busy=1.0)
    assert engine.pauses(2, busy=0.5) == [1.0]


def test_beside_other_engines_they_sleep_soon_as_long_as_these_compute(engine: Engine) -> None:
    engine.policy.crowd(True)
    engine.compute(60, busy=0.5)
    assert engine.is_brief
    engine.policy.crowd(False)
    assert not engine.is_brief


def test_where_other_engines_end_and_another_program_goes_on_they_still_do(engine: Engine) -> None:
    engine.compute(0.3, busy=0.5)
    engine.policy.crowd(True)
    engine.policy.crowd(False)
    assert engine.is_brief
