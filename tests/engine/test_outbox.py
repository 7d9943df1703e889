"""When reports travel: at once, or while the tokens after them are picked."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.outbox import INTERVAL_S, Outbox
from corral_server.errors import QueueFull
from corral_server.ipc.messages import Counted, Failure, Output, Rejected, Report
from corral_server.request import Delta, Event, Finished, FinishReason, Started, Timings

PATIENCE_S = 0.1
SLOW_S = INTERVAL_S * 1.5  # no two of these steps fit into one message
FAST_S = INTERVAL_S / 4

FINISHED = Finished(
    reason=FinishReason.LENGTH,
    prompt_tokens=1,
    completion_tokens=9,
    timings=Timings(queue_s=0, prefill_s=0, decode_s=0),
)


class Desk:
    """An outbox, what it has sent, and the clock it looks at."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.frames: list[list[Report]] = []
        self.outbox = Outbox(
            lambda reports: self.frames.append(list(reports)),
            patience_s=PATIENCE_S,
            clock=lambda: self.now,
        )

    def step(self, took_s: float, *reports: Report) -> None:
        """A step as the engine's loop makes it, and what it brings."""
        self.now += took_s
        self.outbox.step_computed()
        self.outbox.add(reports)
        self.outbox.send_urgent()


@pytest.fixture
def desk() -> Desk:
    """Whose answers have begun, and where steps have taken SLOW_S lately."""
    desk = Desk()
    desk.step(SLOW_S, told(1), told(1, call=2))
    desk.step(SLOW_S)
    desk.frames.clear()
    return desk


def told(count: int, *, call: int = 1) -> Output:
    """Call `call` has its token number `count`."""
    return Output(call, Delta(text="x", completion_tokens=count))


def test_a_token_waits_until_the_next_step_is_computed(desk: Desk) -> None:
    desk.step(SLOW_S, told(2))
    assert desk.frames == []
    desk.step(SLOW_S, told(3))
    assert desk.frames == [[told(2)]]


def test_a_token_travels_before_those_of_the_next_step_are_picked(desk: Desk) -> None:
    desk.step(SLOW_S, told(2))
    desk.now += SLOW_S
    desk.outbox.step_computed()
    assert desk.frames == [[told(2)]]


def test_the_first_token_travels_at_once(desk: Desk) -> None:
    desk.step(SLOW_S, told(1, call=3))
    assert desk.frames == [[told(1, call=3)]]


@pytest.mark.parametrize("event", [Started(prompt_tokens=3), FINISHED], ids=["started", "finished"])
def test_the_beginning_and_the_end_of_an_answer_travel_at_once(desk: Desk, event: Event) -> None:
    desk.step(SLOW_S, Output(3, event))
    assert desk.frames == [[Output(3, event)]]


def test_a_refusal_and_an_answer_to_a_question_travel_at_once(desk: Desk) -> None:
    refused = Rejected(3, Failure.of(QueueFull("full")))
    desk.step(SLOW_S, refused, Counted(4, 7))
    assert desk.frames == [[refused, Counted(4, 7)]]


def test_what_waits_travels_with_what_may_not_wait_and_before_it(desk: Desk) -> None:
    desk.step(SLOW_S, told(2), told(2, call=2))
    desk.outbox.add([told(3), Output(2, FINISHED)])
    desk.outbox.send_urgent()
    assert desk.frames == [[told(2), told(2, call=2), told(3), Output(2, FINISHED)]]


def test_no_token_waits_for_steps_that_take_long(desk: Desk) -> None:
    desk.step(PATIENCE_S * 1.1, told(2))
    assert desk.frames == [[told(2)]]


def test_no_token_waits_after_a_pause(desk: Desk) -> None:
    desk.step(60.0, told(2))
    assert desk.frames == [[told(2)]]


def test_tokens_that_follow_each_other_fast_travel_together(desk: Desk) -> None:
    for count in range(2, 42):
        desk.step(FAST_S, told(count))
    assert {len(frame) for frame in desk.frames[1:]} == {4}


def test_no_token_waits_longer_than_for_a_step_and_the_interval(desk: Desk) -> None:
    picked: dict[int, float] = {}
    for count in range(2, 200):
        desk.step(FAST_S, told(count))
        picked[count] = desk.now
        for frame in desk.frames:
            for report in frame:
                assert isinstance(report, Output) and isinstance(report.event, Delta)
                waited_s = desk.now - picked.pop(report.event.completion_tokens)
                assert waited_s <= INTERVAL_S + FAST_S
        desk.frames.clear()


def test_what_waits_can_be_sent_at_any_time(desk: Desk) -> None:
    desk.step(SLOW_S, told(2))
    desk.outbox.send()
    desk.outbox.send()
    assert desk.frames == [[told(2)]]


STEPS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.lists(st.sampled_from([told(1), told(2), Output(1, FINISHED), Counted(1, 1)])),
        st.booleans(),
    )
)


@given(STEPS)
def test_everything_travels_once_and_in_order(
    steps: Sequence[tuple[float, list[Report], bool]],
) -> None:
    desk = Desk()
    for took_s, reports, sends in steps:
        desk.step(took_s, *reports)
        if sends:
            desk.outbox.send()
    desk.outbox.send()
    added = [report for _, reports, _ in steps for report in reports]
    assert [report for frame in desk.frames for report in frame] == added
    assert all(desk.frames)
