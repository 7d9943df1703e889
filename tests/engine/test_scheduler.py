"""Who computes how much in each step: fair, bounded, and without losing a token."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.batch import Batch
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.sequence import Sequence
from corral_server.errors import QueueFull
from corral_server.request import Finished, FinishReason, GenerationRequest, TextPrompt
from scripted_runner import ScriptedRunner, ScriptedVocabulary, alone

VOCABULARY = ScriptedVocabulary()


@dataclass
class ClosableSampler:
    closed: int = 0

    def close(self) -> None:
        self.closed += 1


@dataclass
class Bench:
    """A scheduler and the runner it feeds."""

    scheduler: Scheduler
    runner: ScriptedRunner
    finished: dict[int, Finished] = field(default_factory=dict)

    def add(
        self,
        call: int,
        prompt_tokens: int = 1,
        *,
        max_tokens: int = 100,
        sampler: ClosableSampler | None = None,
    ) -> Sequence:
        sequence = Sequence(
            call,
            GenerationRequest(prompt=TextPrompt(text=""), max_tokens=max_tokens),
            prompt_of(call, prompt_tokens),
            limit=1000,
            vocabulary=VOCABULARY,
            sampler=sampler,
            now=0.0,
        )
        self.scheduler.add(sequence)
        return sequence

    def step(self) -> list[tuple[int, int]]:
        """Computes one step; the calls in its batch and how many tokens each."""
        batch = self.scheduler.schedule()
        shape = [(item.sequence.call, item.count) for item in batch.items]
        self.compute(batch)
        return shape

    def compute(self, batch: Batch) -> None:
        for output in self.scheduler.update(batch, self.runner.execute(batch)):
            if isinstance(output.event, Finished):
                self.finished[output.call] = output.event

    def run(self, *, steps: int = 1000) -> None:
        for _ in range(steps):
            if not self.scheduler.has_work:
                return
            self.step()
        raise AssertionError(f"still at work after {steps} steps")


def make_bench(
    slots: int = 4, *, cells: int = 1000, batch_tokens: int = 8, max_waiting: int = 16
) -> Bench:
    scheduler = Scheduler(
        slots=slots,
        cells=cells,
        batch_tokens=batch_tokens,
        max_waiting=max_waiting,
        clock=lambda: 1.0,
    )
    return Bench(scheduler, ScriptedRunner(cells=cells))


def prompt_of(call: int, length: int) -> list[int]:
    return [call % 256, *range(1, length)]


def answer_of(sequence: Sequence) -> list[int]:
    return sequence.tokens[sequence.num_prompt :]


# The token budget


def test_a_prompt_is_computed_at_once_if_it_fits_the_budget() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 8)
    assert bench.step() == [(1, 8)]


def test_a_prompt_over_the_budget_is_chunked() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 20)
    assert [bench.step() for _ in range(4)] == [[(1, 8)], [(1, 8)], [(1, 4)], [(1, 1)]]


def test_a_chunk_that_does_not_complete_a_prompt_brings_no_token() -> None:
    bench = make_bench(batch_tokens=8)
    sequence = bench.add(1, 9)
    bench.step()
    assert answer_of(sequence) == []
    bench.step()
    assert answer_of(sequence) == alone(prompt_of(1, 9), 1)


def test_running_answers_go_before_prompts() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 2)
    bench.step()
    bench.add(2, 20)
    bench.step()
    bench.add(3, 2)
    assert bench.step() == [(1, 1), (2, 7)]


def test_an_answer_younger_than_a_prompt_goes_before_it() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 7 + 8)
    bench.add(2, 1)
    bench.step()
    assert bench.step() == [(2, 1), (1, 7)]


def test_prompts_share_the_budget_in_order_of_admission() -> None:
    bench = make_bench(batch_tokens=8)
    for call in (1, 2, 3):
        bench.add(call, 5)
    assert bench.step() == [(1, 5), (2, 3)]
    assert bench.step() == [(1, 1), (2, 2), (3, 5)]


# Slots


def test_sequences_are_admitted_in_order_of_arrival() -> None:
    bench = make_bench(slots=2)
    for call in (1, 2, 3, 4):
        bench.add(call, max_tokens=2)
    assert [call for call, _ in bench.step()] == [1, 2]
    bench.step()
    assert [call for call, _ in bench.step()] == [3, 4]


def test_a_slot_is_emptied_before_it_is_used_again() -> None:
    bench = make_bench(slots=1)
    bench.add(1, max_tokens=1)
    bench.add(2, max_tokens=1)
    bench.step()
    batch = bench.scheduler.schedule()
    assert (batch.freed, [item.sequence.slot for item in batch.items]) == ([0], [0])


def test_a_slot_is_emptied_once() -> None:
    bench = make_bench(slots=2)
    bench.add(1, max_tokens=1)
    bench.add(2, max_tokens=9)
    bench.step()
    assert bench.scheduler.schedule().freed == [0]
    assert bench.scheduler.schedule().freed == []


def test_a_sequence_that_ends_gives_its_slot_up_and_closes_its_sampler() -> None:
    bench = make_bench(slots=1)
    sampler = ClosableSampler()
    sequence = bench.add(1, max_tokens=2, sampler=sampler)
    bench.run()
    assert (sequence.slot, bench.scheduler.num_running, sampler.closed) == (None, 0, 1)


# Cells


def test_a_prompt_that_does_not_fit_waits_until_it_does() -> None:
    bench = make_bench(cells=10)
    bench.add(1, 6, max_tokens=2)
    bench.add(2, 5, max_tokens=1)
    assert bench.step() == [(1, 6)]
    assert bench.step() == [(1, 1)]
    assert bench.step() == [(2, 5)]


def test_a_small_prompt_does_not_overtake_one_that_waits_for_cells() -> None:
    bench = make_bench(cells=10)
    bench.add(1, 6)
    bench.add(2, 5)
    bench.add(3, 1)
    assert [call for call, _ in bench.step()] == [1]


def test_a_sequence_that_runs_alone_may_take_all_cells() -> None:
    bench = make_bench(cells=10, batch_tokens=16)
    sequence = bench.add(1, 9, max_tokens=2)
    bench.run()
    assert answer_of(sequence) == alone(prompt_of(1, 9), 2)


def test_the_youngest_gives_way_when_answers_outgrow_the_cells() -> None:
    bench = make_bench(cells=10)
    bench.add(1, 4)
    bench.add(2, 4)
    bench.step()
    assert [call for call, _ in bench.step()] == [1, 2]
    assert [call for call, _ in bench.step()] == [1]


def test_one_that_gave_way_loses_and_repeats_no_token() -> None:
    bench = make_bench(cells=10)
    bench.add(1, 4, max_tokens=5)
    second = bench.add(2, 4, max_tokens=5)
    bench.run()
    assert answer_of(second) == alone(prompt_of(2, 4), 5)
    assert bench.finished[2].completion_tokens == 5


def test_one_that_gave_way_is_not_overtaken_by_those_that_arrived_later() -> None:
    bench = make_bench(slots=3, cells=10)
    bench.add(1, 4)
    bench.add(2, 4)
    for _ in range(3):
        bench.step()
    bench.add(3, 1)
    assert bench.step() == [(1, 1)]


def test_the_slot_of_one_that_gave_way_is_emptied() -> None:
    bench = make_bench(slots=2, cells=10)
    bench.add(1, 4)
    second = bench.add(2, 4)
    bench.step()
    slot = second.slot
    bench.step()
    assert bench.scheduler.schedule().freed == [slot]
    assert second.slot is None


def test_when_the_cache_itself_refuses_a_step_the_youngest_gives_way_until_there_is_room() -> None:
    bench = make_bench()
    bench.add(1, max_tokens=3)
    bench.add(2, max_tokens=1)
    bench.scheduler.schedule()
    assert bench.scheduler.shrink()
    assert [bench.step() for _ in range(3)] == [[(1, 1)]] * 3
    assert bench.step() == [(2, 1)]


def test_the_only_one_that_runs_does_not_give_way() -> None:
    bench = make_bench()
    sequence = bench.add(1)
    bench.step()
    assert not bench.scheduler.shrink()
    assert sequence.slot == 0


# Cancelling


def test_a_running_sequence_that_is_cancelled_gives_its_slot_up_at_once() -> None:
    bench = make_bench(slots=1)
    sampler = ClosableSampler()
    bench.add(1, sampler=sampler)
    bench.add(2)
    bench.step()
    bench.scheduler.cancel(1)
    assert sampler.closed == 1
    assert bench.step() == [(2, 1)]


def test_a_prompt_cancelled_halfway_leaves_nothing_in_its_slot() -> None:
    bench = make_bench(slots=1, batch_tokens=8)
    bench.add(1, 20)
    bench.step()
    bench.scheduler.cancel(1)
    second = bench.add(2, 3, max_tokens=2)
    bench.run()
    assert answer_of(second) == alone(prompt_of(2, 3), 2)


def test_a_waiting_sequence_that_is_cancelled_never_runs() -> None:
    bench = make_bench(slots=1)
    sampler = ClosableSampler()
    bench.add(1, max_tokens=2)
    bench.add(2, sampler=sampler)
    bench.step()
    bench.scheduler.cancel(2)
    assert (bench.scheduler.num_waiting, sampler.closed) == (0, 1)
    bench.run()
    assert list(bench.finished) == [1]


def test_an_unknown_call_is_cancelled_without_harm() -> None:
    bench = make_bench()
    bench.add(1)
    bench.step()
    bench.scheduler.cancel(99)
    assert bench.step() == [(1, 1)]


def test_nothing_is_left_when_all_are_cancelled() -> None:
    bench = make_bench(slots=1)
    bench.add(1)
    bench.add(2)
    bench.step()
    bench.scheduler.cancel(1)
    bench.scheduler.cancel(2)
    assert not bench.scheduler.has_work


# The queue


def test_one_more_may_come_as_long_as_the_queue_has_room() -> None:
    bench = make_bench(slots=1, max_waiting=2)
    bench.add(1)
    bench.step()
    for call in (2, 3):
        bench.scheduler.check_room()
        bench.add(call)
    with pytest.raises(QueueFull) as caught:
        bench.scheduler.check_room()
    assert caught.value.metadata == {"waiting": "2", "limit": "2"}
    assert caught.value.retry_after_s == 1.0


def test_a_full_queue_has_room_again_once_one_is_admitted() -> None:
    bench = make_bench(slots=1, max_waiting=1)
    bench.add(1, max_tokens=1)
    bench.step()
    bench.add(2)
    bench.add(3)
    bench.step()
    bench.scheduler.cancel(3)
    bench.scheduler.check_room()


def test_without_a_queue_as_many_may_come_as_slots_are_free() -> None:
    bench = make_bench(slots=2, max_waiting=0)
    for call in (1, 2):
        bench.scheduler.check_room()
        bench.add(call)
    with pytest.raises(QueueFull):
        bench.scheduler.check_room()


# Any schedule


@dataclass(frozen=True)
class Arrival:
    prompt_tokens: int
    max_tokens: int
    steps_before: int
    cancelled_after: int | None


@st.composite
def arrivals(draw: st.DrawFn, cells: int) -> Arrival:
    prompt_tokens = draw(st.integers(1, cells - 1))
    return Arrival(
        prompt_tokens,
        max_tokens=draw(st.integers(1, cells - prompt_tokens)),
        steps_before=draw(st.integers(0, 4)),
        cancelled_after=draw(st.none() | st.integers(0, 12)),
    )


def check(bench: Bench, batch: Batch, alive: list[Sequence], cells: int, batch_tokens: int) -> None:
    """What holds before every step."""
    running = [sequence for sequence in alive if sequence.slot is not None]
    slots = [sequence.slot for sequence in running]
    assert len(slots) == len(set(slots)) == bench.scheduler.num_running
    assert len(running) <= 1 or sum(len(sequence.tokens) for sequence in running) <= cells
    assert 0 < sum(item.count for item in batch.items) <= batch_tokens
    assert all(item.count > 0 for item in batch.items)
    assert len({item.sequence.call for item in batch.items}) == len(batch.items)
    assert batch.items and alive[0] in [item.sequence for item in batch.items]


@given(st.data(), st.integers(1, 4), st.integers(4, 40))
def test_any_schedule_is_fair_bounded_and_loses_nothing(
    data: st.DataObject, slots: int, cells: int
) -> None:
    batch_tokens = data.draw(st.integers(slots, 8))
    plan = data.draw(st.lists(arrivals(cells), min_size=1, max_size=8))
    bench = make_bench(slots, cells=cells, batch_tokens=batch_tokens)
    alive: list[Sequence] = []
    cancels: dict[int, int] = {}
    steps = 0

    def step() -> None:
        nonlocal steps
        for call in [call for call, due in cancels.items() if due <= steps]:
            bench.scheduler.cancel(call)
            del cancels[call]
            alive[:] = [sequence for sequence in alive if sequence.call != call]
        if bench.scheduler.has_work:
            batch = bench.scheduler.schedule()
            check(bench, batch, alive, cells, batch_tokens)
            bench.compute(batch)
            alive[:] = [sequence for sequence in alive if sequence.call not in bench.finished]
        steps += 1

    everyone: list[Sequence] = []
    for call, arrival in enumerate(plan):
        for _ in range(arrival.steps_before):
            step()
        sequence = bench.add(call, arrival.prompt_tokens, max_tokens=arrival.max_tokens)
        alive.append(sequence)
        everyone.append(sequence)
        if arrival.cancelled_after is not None:
            cancels[call] = steps + arrival.cancelled_after
    # The oldest moves on in every step, so this is how long all of them can take.
    for _ in range(sum(arrival.prompt_tokens + arrival.max_tokens for arrival in plan)):
        step()
    assert not bench.scheduler.has_work
    for sequence, arrival in zip(everyone, plan, strict=True):
        wanted = alone(prompt_of(sequence.call, arrival.prompt_tokens), arrival.max_tokens)
        assert answer_of(sequence) == wanted[: sequence.num_completion]
        if arrival.cancelled_after is None:
            assert bench.finished[sequence.call].reason is FinishReason.LENGTH
            assert answer_of(sequence) == wanted
