"""As many requests are let in as an engine runs and lets wait; one more hears when to come back."""

from contextlib import ExitStack

import pytest

from corral_server.errors import QueueFull
from corral_server.models.admission import Admission


@pytest.fixture
def full() -> Admission:
    admission = Admission()
    admission.limit(slots=1, max_waiting=2)
    return admission


def refusal(admission: Admission) -> QueueFull:
    with pytest.raises(QueueFull) as caught, admission.admit(99):
        raise AssertionError("it was let in")
    return caught.value


def test_without_a_limit_all_are_let_in() -> None:
    admission = Admission()
    with ExitStack() as calls:
        for call in range(1000):
            calls.enter_context(admission.admit(call))


def test_one_more_than_run_and_wait_is_refused(full: Admission) -> None:
    with full.admit(1), full.admit(2), full.admit(3):
        error = refusal(full)
    assert error.metadata == {"waiting": "2", "limit": "2"}


def test_who_left_makes_room(full: Admission) -> None:
    with full.admit(1), full.admit(2):
        with full.admit(3):
            refusal(full)
        with full.admit(4):
            refusal(full)


def test_a_finished_request_that_is_still_read_makes_room(full: Admission) -> None:
    with full.admit(1), full.admit(2), full.admit(3):
        full.finished(1)
        with full.admit(4):
            refusal(full)


@pytest.mark.parametrize(
    ("told", "advised"), [([], 1.0), ([7.5], 7.5), ([7.5, None], 7.5), ([0.01], 0.1)]
)
def test_the_advice_is_what_the_engine_said_last(
    full: Admission, told: list[float | None], advised: float
) -> None:
    for wait_s in told:
        full.started(wait_s=wait_s)
    with full.admit(1), full.admit(2), full.admit(3):
        assert refusal(full).retry_after_s == advised
