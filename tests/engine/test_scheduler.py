"""Who computes how much in each step: fair, bounded, and without losing a token."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corral_server.engine.batch import Batch, Forget, Operation, Save
from corral_server.engine.kv_cache import Policy
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.sequence import Sequence
from corral_server.errors import QueueFull
from corral_server.request import (
    Finished,
    FinishReason,
    GenerationRequest,
    Priority,
    TextPrompt,
)
from make_scheduler import computed, make_scheduler
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
    now: float = 1.0

    def add(
        self,
        call: int,
        prompt_tokens: int = 1,
        *,
        prompt: list[int] | None = None,
        max_tokens: int = 100,
        sampler: ClosableSampler | None = None,
        **asked: Any,
    ) -> Sequence:
        sequence = Sequence(
            call,
            GenerationRequest(prompt=TextPrompt(text=""), max_tokens=max_tokens, **asked),
            prompt_of(call, prompt_tokens) if prompt is None else list(prompt),
            limit=1000,
            vocabulary=VOCABULARY,
            sampler=sampler,
            now=self.now,
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
        for output in computed(self.scheduler, self.runner, batch):
            if isinstance(output.event, Finished):
                self.finished[output.call] = output.event

    def spare(self) -> list[Operation]:
        """Lets it do all there is to do while nothing runs; what that was."""
        done: list[Operation] = []
        while operations := self.scheduler.spare():
            self.runner.carry_out(operations)
            self.scheduler.settle()
            done += operations
        return done

    def run(self, *, steps: int = 1000) -> None:
        for _ in range(steps):
            if not self.scheduler.has_work:
                return
            self.step()
        raise AssertionError(f"still at work after {steps} steps")


def make_bench(slots: int = 4, *, cells: int = 1000, **options: Any) -> Bench:
    bench: Bench
    scheduler = make_scheduler(slots=slots, cells=cells, clock=lambda: bench.now, **options)
    bench = Bench(scheduler, ScriptedRunner(cells=cells))
    return bench


def prompt_of(call: int, length: int) -> list[int]:
    return [call % 256, *(token % 256 for token in range(1, length))]


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
    assert bench.step() == [(1, 1), (2, 7)]


def test_an_answer_younger_than_a_prompt_goes_before_it() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 7 + 8)
    bench.add(2, 1)
    bench.step()
    assert bench.step() == [(2, 1), (1, 7)]


def test_equal_prompts_share_the_budget_in_order_of_admission() -> None:
    bench = make_bench(batch_tokens=8)
    for call in (1, 2, 3):
        bench.add(call, 5)
    assert bench.step() == [(1, 5), (2, 3)]
    assert bench.step() == [(2, 2), (3, 5)]


def test_a_short_prompt_overtakes_a_long_one_that_never_stops() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 30)
    bench.step()
    bench.add(2, 10)
    assert bench.step() == [(1, 2), (2, 6)]
    assert bench.step() == [(1, 4), (2, 4)]


def pausing(*, answers: int, prompts: int, age_s: float = 0.0, took_s: float = 0.0) -> bool:
    """Whether answers whose first token took so long and is so old now pause for so many prompts
    that came since."""
    bench = make_bench(slots=answers + prompts, batch_tokens=64, target_s=0.1)
    for call in range(answers):
        bench.add(call, 2)
    batch = bench.scheduler.schedule()
    bench.now += took_s
    bench.compute(batch)
    bench.now += age_s
    for call in range(prompts):
        bench.add(answers + call, 8)
    return (0, 1) not in bench.step()


def test_young_answers_pause_while_others_wait_for_their_first_token() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 2)
    bench.step()
    for call in (2, 3):
        bench.add(call, 8)
    assert [bench.step(), bench.step()] == [[(2, 8)], [(1, 1), (2, 1), (3, 6)]]


@pytest.mark.parametrize(("answers", "prompts"), [(1, 2), (4, 2), (16, 2), (24, 3)])
def test_young_answers_pause_for_an_eighth_as_many(answers: int, prompts: int) -> None:
    assert pausing(answers=answers, prompts=prompts)
    assert not pausing(answers=answers, prompts=min(prompts - 1, answers // 8))


def test_answers_older_than_ten_steps_should_take_pause_for_nobody() -> None:
    assert pausing(answers=1, prompts=4, age_s=0.9)
    assert not pausing(answers=1, prompts=4, age_s=1.1)


@pytest.mark.parametrize(("took_s", "young_s"), [(0.1, 1.0), (0.5, 2.0), (9.0, 5.0)])
def test_an_answer_is_young_the_longer_the_longer_its_prompt_took(
    took_s: float, young_s: float
) -> None:
    assert pausing(answers=1, prompts=4, age_s=young_s - 0.1, took_s=took_s)
    assert not pausing(answers=1, prompts=4, age_s=young_s + 0.1, took_s=took_s)


def test_no_answer_pauses_for_prompts_of_lower_priority() -> None:
    bench = make_bench(batch_tokens=16)
    bench.add(1, 2)
    bench.step()
    for call in (2, 3):
        bench.add(call, 8, priority=Priority.LOW)
    assert (1, 1) in bench.step()


def test_no_answer_pauses_for_one_prompt() -> None:
    bench = make_bench(batch_tokens=8)
    bench.add(1, 2)
    bench.step()
    bench.add(2, 100)
    assert bench.step() == [(1, 1), (2, 7)]


# Slots


def test_sequences_are_admitted_in_order_of_arrival() -> None:
    bench = make_bench(slots=2)
    for call in (1, 2, 3, 4):
        bench.add(call, max_tokens=2)
    assert [call for call, _ in bench.step()] == [1, 2]
    bench.step()
    assert [call for call, _ in bench.step()] == [3, 4]


def test_without_a_prefix_cache_a_slot_is_emptied_once_before_it_is_used_again() -> None:
    bench = make_bench(slots=1, kept=0, policy=Policy(keeps=False))
    bench.add(1, max_tokens=1)
    bench.add(2, max_tokens=2)
    bench.step()
    batch = bench.scheduler.schedule()
    assert (batch.operations, [item.sequence.slot for item in batch.items]) == ([Forget(0)], [0])
    bench.compute(batch)
    assert bench.scheduler.schedule().operations == []


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


def test_one_that_gave_way_computes_only_what_the_others_needed_room_for() -> None:
    bench = make_bench(slots=2, cells=300, batch_tokens=300)
    bench.add(1, 100, max_tokens=101)
    second = bench.add(2, 100, max_tokens=150)
    while second.slot is not None or second.num_completion == 0:
        bench.step()
    owned = len(second.tokens)
    while second.slot is None:
        bench.step()
    assert owned > 100
    assert 0 < len(second.tokens) - second.num_computed < owned


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


# Prefixes


def prompts(*own: int, common: int = 100) -> list[list[int]]:
    """Prompts that begin alike, with so many tokens of their own behind."""
    shared = [token % 250 for token in range(common)]
    return [
        shared + [251 + number % 5] + [number % 256] * (count - 1)
        for number, count in enumerate(own)
    ]


def test_what_was_computed_for_one_prompt_is_not_computed_for_the_next() -> None:
    bench = make_bench(batch_tokens=200)
    first, second = prompts(5, 7)
    bench.add(1, prompt=first, max_tokens=1)
    bench.run()
    bench.add(2, prompt=second, max_tokens=3)
    assert bench.step() == [(2, 7)]
    bench.run()
    assert bench.finished[2].cached_tokens == 100
    assert bench.finished[1].cached_tokens == 0


def test_the_same_prompt_again_computes_one_token() -> None:
    bench = make_bench(batch_tokens=200)
    (prompt,) = prompts(5)
    for call in (1, 2):
        bench.add(call, prompt=prompt, max_tokens=2)
        shape = bench.step()
        bench.run()
    assert shape == [(2, 1)]
    assert bench.finished[2].cached_tokens == 104


def test_the_next_turn_of_a_conversation_goes_on_behind_the_answer() -> None:
    bench = make_bench(batch_tokens=200)
    first = bench.add(1, 50, max_tokens=10)
    bench.run()
    bench.add(2, prompt=[*first.tokens, 1, 2, 3], max_tokens=1)
    # The answer's last token was told but never computed.
    assert bench.step() == [(2, 4)]


def test_prompts_that_come_together_wait_for_what_the_first_computes() -> None:
    bench = make_bench(batch_tokens=64)
    for call, prompt in enumerate(prompts(5, 5, 5)):
        bench.add(call, prompt=prompt, max_tokens=1)
    assert [bench.step() for _ in range(2)] == [[(0, 64)], [(0, 41)]]
    assert bench.step() == [(1, 5), (2, 5)]
    assert [bench.finished[call].cached_tokens for call in (0, 1, 2)] == [0, 100, 100]


def test_one_that_waits_for_another_s_prefix_goes_on_alone_if_that_is_cancelled() -> None:
    bench = make_bench(batch_tokens=64)
    for call, prompt in enumerate(prompts(5, 5)):
        bench.add(call, prompt=prompt, max_tokens=1)
    bench.step()
    bench.scheduler.cancel(0)
    assert bench.step() == [(1, 41)]


def test_a_short_common_beginning_is_not_waited_for() -> None:
    bench = make_bench(batch_tokens=64)
    for call, prompt in enumerate(prompts(5, 5, common=20)):
        bench.add(call, prompt=prompt, max_tokens=1)
    assert bench.step() == [(0, 25), (1, 25)]


def test_what_prompts_share_takes_cells_once() -> None:
    bench = make_bench(slots=8, cells=200, batch_tokens=200)
    for call, prompt in enumerate(prompts(5, 5, 5, 5, 5)):
        bench.add(call, prompt=prompt, max_tokens=4)
    bench.step()
    assert bench.scheduler.num_running == 5
    bench.step()
    assert bench.scheduler.load(0).cells_used == 100 + 5 * 5


def test_scopes_do_not_share() -> None:
    bench = make_bench(batch_tokens=300)
    first, second = prompts(5, 5)
    bench.add(1, prompt=first, max_tokens=2, cache_scope="one")
    bench.add(2, prompt=second, max_tokens=2, cache_scope="other")
    assert bench.step() == [(1, 105), (2, 105)]
    bench.run()
    bench.add(3, prompt=second, max_tokens=2, cache_scope="third")
    assert bench.step() == [(3, 105)]


def test_without_a_prefix_cache_nothing_is_shared() -> None:
    bench = make_bench(batch_tokens=300, kept=0, policy=Policy(keeps=False))
    for call, prompt in enumerate(prompts(5, 5)):
        bench.add(call, prompt=prompt, max_tokens=1)
    assert bench.step() == [(0, 105), (1, 105)]


def test_kept_cells_are_given_up_for_running_sequences_the_oldest_first() -> None:
    bench = make_bench(cells=300, batch_tokens=300)
    for call in (1, 2):
        bench.add(call, 100, max_tokens=1)
        bench.run()
    bench.add(3, 150, max_tokens=1)
    bench.run()
    assert bench.scheduler.load(0).cells_cached <= 300
    bench.add(4, 100, prompt=prompt_of(2, 100), max_tokens=1)
    assert bench.step() == [(4, 1)]


def test_what_leaves_the_cache_comes_back_from_host_memory() -> None:
    bench = make_bench(slots=1, kept=0, batch_tokens=300, host_bytes=1 << 20)
    for call in (1, 2):
        bench.add(call, 100, max_tokens=1)
        bench.run()
    bench.add(3, prompt=[*prompt_of(1, 100), 7], max_tokens=1)
    assert bench.step() == [(3, 1)]
    assert bench.finished[3].cached_tokens == 100


def test_what_will_have_to_leave_the_cache_is_copied_while_nothing_runs() -> None:
    policy = Policy(least_share=0.0, most_share=0.0)
    bench = make_bench(cells=2000, batch_tokens=1000, policy=policy, host_bytes=1 << 20)
    for call, length in enumerate((100, 100, 600), start=1):
        bench.add(call, length, max_tokens=1)
    bench.run()
    copied = bench.spare()
    assert [type(operation) for operation in copied] == [Save, Save]  # the long one in its time
    assert bench.scheduler.load(0).cells_cached == 800
    bench.add(4, 1)
    saved = [each for each in bench.scheduler.schedule().operations if isinstance(each, Save)]
    assert [len(operation.entry.tokens) for operation in saved] == [600]


@pytest.mark.parametrize("again", [1, 2])
def test_what_is_copied_already_keeps_nothing_else_from_being_copied(again: int) -> None:
    policy = Policy(least_share=0.0, most_share=0.0)
    bench = make_bench(cells=2000, batch_tokens=1000, policy=policy, host_bytes=1 << 20)
    bench.add(again, 100, max_tokens=1)
    bench.run()
    bench.spare()
    for call in (1, 2):
        bench.add(10 + call, prompt=prompt_of(call, 100), max_tokens=1)
    bench.run()
    assert [type(operation) for operation in bench.spare()].count(Save) == 1


def kept_beside_another(policy: Policy) -> int:
    """Cells of finished sequences that stay where prompts are found, beside one that runs."""
    bench = make_bench(cells=1000, batch_tokens=300, policy=policy, host_bytes=1 << 20)
    for call in range(1, 9):
        bench.add(call, prompt=[*prompt_of(1, 100), call], max_tokens=1)
        bench.run()
    bench.add(9, 1)
    bench.step()
    bench.step()
    return bench.scheduler.load(0).cells_cached


def test_cells_are_kept_where_prompts_are_found_unless_host_memory_holds_them() -> None:
    assert kept_beside_another(Policy(least_share=0.0)) >= 100
    assert kept_beside_another(Policy(least_share=0.0, most_share=0.0)) == 0


def test_what_host_memory_holds_is_found_though_nothing_is_kept() -> None:
    policy = Policy(least_share=0.0, most_share=0.0)
    bench = make_bench(cells=1000, batch_tokens=300, policy=policy, host_bytes=1 << 20)
    bench.add(1, 100, max_tokens=1)
    bench.run()
    bench.add(2, 1)
    bench.step()
    bench.add(3, prompt=[*prompt_of(1, 100), 7], max_tokens=1)
    bench.step()
    assert bench.finished[3].cached_tokens == 100


def test_a_model_that_forgets_nothing_halfway_goes_on_from_a_checkpoint() -> None:
    bench = make_bench(batch_tokens=300, policy=Policy(whole=True), host_bytes=1 << 20)
    first = bench.add(1, 100, max_tokens=5)
    assert [bench.step(), bench.step()] == [[(1, 99)], [(1, 1)]]
    bench.run()
    bench.add(2, prompt=[*first.tokens[:-1], 1, 2, 3], max_tokens=1)
    assert bench.step() == [(2, 2)]
    bench.add(3, prompt=prompt_of(1, 100), max_tokens=1)
    bench.run()
    assert bench.finished[3].cached_tokens == 99


# Priorities and deadlines


def test_requests_of_a_higher_priority_go_first() -> None:
    bench = make_bench(slots=1)
    bench.add(0, max_tokens=2)
    bench.step()
    bench.add(1, priority=Priority.LOW, max_tokens=1)
    bench.add(2, max_tokens=1)
    bench.add(3, max_tokens=1)
    bench.step()
    assert [bench.step() for _ in range(3)] == [[(2, 1)], [(3, 1)], [(1, 1)]]


def test_a_request_of_higher_priority_takes_the_slot_of_one_of_lower() -> None:
    bench = make_bench(slots=1)
    low = bench.add(1, 5, priority=Priority.LOW, max_tokens=4)
    bench.step()
    bench.add(2, priority=Priority.HIGH, max_tokens=1)
    assert bench.step() == [(2, 1)]
    assert bench.step() == [(1, 1)]
    bench.run()
    assert answer_of(low) == alone(prompt_of(1, 5), 4)


def test_none_waits_for_ever_behind_a_higher_priority() -> None:
    bench = make_bench(slots=1)
    bench.add(0, max_tokens=1)
    bench.add(1, priority=Priority.LOW, max_tokens=1)
    bench.step()
    bench.now += 60.0
    bench.add(2, priority=Priority.HIGH, max_tokens=1)
    assert bench.step() == [(1, 1)]


def test_a_request_whose_deadline_passes_in_the_queue_is_never_computed() -> None:
    bench = make_bench(slots=1)
    sampler = ClosableSampler()
    bench.add(1)
    bench.add(2, time_left_s=5.0, sampler=sampler)
    bench.step()
    assert bench.scheduler.expire() == []
    bench.now += 5.0
    (rejected,) = bench.scheduler.expire()
    assert (rejected.call, rejected.failure.reason) == (2, "DEADLINE_EXCEEDED")
    assert (bench.scheduler.num_waiting, sampler.closed) == (0, 1)


def test_a_running_request_ends_at_its_deadline() -> None:
    bench = make_bench(slots=1)
    bench.add(1, time_left_s=5.0)
    for _ in range(3):
        bench.step()
    bench.now += 6.0
    (rejected,) = bench.scheduler.expire()
    assert rejected.failure.metadata == {"completion_tokens": "3"}
    assert not bench.scheduler.has_work


def test_one_that_need_not_wait_has_no_position() -> None:
    assert make_bench(slots=1).scheduler.position(Priority.NORMAL) == (0, None)


def test_the_position_counts_those_that_go_before_and_the_wait_is_learned() -> None:
    bench = make_bench(slots=2)
    for call in range(5):
        bench.add(call, max_tokens=2 if call < 2 else 100)
    bench.step()
    assert bench.scheduler.position(Priority.NORMAL) == (3, None)
    assert bench.scheduler.position(Priority.HIGH) == (0, None)
    bench.now += 8.0
    bench.step()
    assert bench.scheduler.position(Priority.NORMAL) == (3, 16.0)


def test_a_full_queue_says_when_to_come_back() -> None:
    bench = make_bench(slots=1, max_waiting=1)
    bench.add(1, max_tokens=2)
    bench.step()
    bench.now += 3.0
    bench.step()
    bench.add(2)
    bench.step()
    bench.add(3)
    with pytest.raises(QueueFull) as caught:
        bench.scheduler.check_room()
    assert caught.value.retry_after_s == 6.0


def test_the_load_counts_requests_cells_and_tokens() -> None:
    bench = make_bench(slots=2, cells=500, batch_tokens=300)
    first, second = prompts(5, 5)
    bench.add(1, prompt=first, max_tokens=1)
    bench.run()
    for call in (2, 3, 4):
        bench.add(call, prompt=second, max_tokens=10)
    bench.step()
    load = bench.scheduler.load(99)
    assert (load.call, load.slots, load.running, load.waiting) == (99, 2, 2, 1)
    assert (load.cells, load.cells_used, load.cells_cached) == (500, 105, 5)
    assert load.prompt_cached_ratio == pytest.approx(200 / 315)
    assert load.prompt_tokens_per_s == (105 + 5 + 5) / 10
    assert load.completion_tokens_per_s == 0.3


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


def check(
    bench: Bench, batch: Batch, alive: list[Sequence], batch_tokens: int, *, ran: set[int]
) -> None:
    """What holds before every step; `ran` are the calls that held a slot before it was made."""
    running = [sequence for sequence in alive if sequence.slot is not None]
    slots = [sequence.slot for sequence in running]
    assert len(slots) == len(set(slots)) == bench.scheduler.num_running
    assert 0 < sum(item.count for item in batch.items) <= batch_tokens
    assert all(item.count > 0 for item in batch.items)
    assert len({item.sequence.call for item in batch.items}) == len(batch.items)
    # Who pauses is decided before a prompt may have to give way.
    prompts = [
        sequence
        for sequence in alive
        if not sequence.num_completion
        and (sequence.slot is not None or sequence.call in ran)
        or sequence.clock.started == bench.now
    ]
    pauses = alive[0].gap == 1 and len(prompts) > 1
    assert pauses or alive[0] in [item.sequence for item in batch.items]


@pytest.mark.parametrize("kept", [0, 1, 4])
@pytest.mark.parametrize(
    ("policy", "host_bytes"),
    [
        (Policy(), 0),
        (Policy(), 1 << 20),
        (Policy(least_share=0.1), 3 << 14),
        (Policy(least_share=0.0, most_share=0.0), 1 << 20),
        (Policy(keeps=False), 0),
        (Policy(whole=True), 1 << 20),
    ],
    ids=["kept", "saved", "saved-a-few", "all-saved", "nothing-kept", "whole"],
)
@given(st.data(), st.integers(1, 4), st.sampled_from([40, 120, 400]), st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_any_schedule_is_fair_bounded_and_loses_nothing(
    policy: Policy,
    host_bytes: int,
    kept: int,
    data: st.DataObject,
    slots: int,
    cells: int,
    beginnings: int,
) -> None:
    batch_tokens = data.draw(st.integers(slots, cells // 2))
    plan = data.draw(st.lists(arrivals(cells), min_size=1, max_size=10))
    bench = make_bench(
        slots,
        cells=cells,
        batch_tokens=batch_tokens,
        kept=kept,
        policy=policy,
        host_bytes=host_bytes,
        target_s=1.0,
    )
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
            ran = {sequence.call for sequence in alive if sequence.slot is not None}
            batch = bench.scheduler.schedule()
            check(bench, batch, alive, batch_tokens, ran=ran)
            bench.compute(batch)
            load = bench.scheduler.load(0)
            alive[:] = [sequence for sequence in alive if sequence.call not in bench.finished]
            if not bench.scheduler.has_unsettled:
                assert bench.runner.num_cells == load.cells_used + load.cells_cached <= cells
        else:
            bench.spare()
        steps += 1
        bench.now += 1.0

    everyone: list[tuple[Sequence, list[int], Arrival]] = []
    for call, arrival in enumerate(plan):
        for _ in range(arrival.steps_before):
            step()
        prompt = prompt_of(call % beginnings, arrival.prompt_tokens)
        sequence = bench.add(call, prompt=prompt, max_tokens=arrival.max_tokens)
        alive.append(sequence)
        everyone.append((sequence, prompt, arrival))
        if arrival.cancelled_after is not None:
            cancels[call] = steps + arrival.cancelled_after
    # The oldest moves on in every step but for a few pauses, so all of them end.
    for _ in range(2 * sum(arrival.prompt_tokens + arrival.max_tokens for arrival in plan)):
        step()
    assert not bench.scheduler.has_work
    for sequence, prompt, arrival in everyone:
        wanted = alone(prompt, arrival.max_tokens)
        assert answer_of(sequence) == wanted[: sequence.num_completion]
        if arrival.cancelled_after is None:
            assert bench.finished[sequence.call].reason is FinishReason.LENGTH
            assert answer_of(sequence) == wanted
