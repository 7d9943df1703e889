"""Which inputs become vectors in which step."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.config import Pooling
from corral_server.engine.embedding_job import EmbeddingBatch, EmbeddingJob
from corral_server.engine.embedding_scheduler import EmbeddingScheduler
from corral_server.engine.pooling import Vectors
from corral_server.errors import QueueFull


class Steps:
    """Runs a scheduler; the vector of a token is its id, and what a sequence holds is watched."""

    def __init__(
        self,
        *,
        sequences: int = 8,
        cells: int = 64,
        batch_tokens: int = 16,
        max_waiting: int = 100,
        one_call_at_a_time: bool = False,
    ) -> None:
        self.scheduler = EmbeddingScheduler(
            sequences=sequences,
            cells=cells,
            batch_tokens=batch_tokens,
            max_waiting=max_waiting,
            one_call_at_a_time=one_call_at_a_time,
            clock=lambda: self.now,
        )
        self.now = 0.0
        self._num_cells = cells
        self._held: defaultdict[int, list[int]] = defaultdict(list)
        self._batch_tokens = batch_tokens
        self.answers: defaultdict[int, list[float]] = defaultdict(list)
        self.counts: defaultdict[int, list[int]] = defaultdict(list)
        self.ended: list[int] = []
        self.num_steps = 0

    def add(self, call: int, *lengths: int) -> None:
        """A call of inputs of these lengths; the n-th input's tokens are all n."""
        inputs = [[number] * length for number, length in enumerate(lengths)]
        self.scheduler.add(EmbeddingJob(call, inputs, Pooling.MEAN, normalize=False))

    def step(self) -> list[tuple[int, int]]:
        """One step; for each item its call and its count."""
        batch = self.scheduler.schedule()
        rows = self._compute(batch)
        for part in self.scheduler.update(batch, rows):
            self.answers[part.call] += np.frombuffer(part.vectors, "<f4").tolist()
            self.counts[part.call] += part.token_counts
            if part.is_last:
                self.ended.append(part.call)
        self.num_steps += bool(batch.items)
        return [(item.input.job.call, item.count) for item in batch.items]

    def run(self) -> None:
        while self.scheduler.has_work:
            self.step()

    def _compute(self, batch: EmbeddingBatch) -> list[Vectors]:
        for sequence in batch.freed:
            self._held.pop(sequence, None)
        assert batch.num_tokens <= self._batch_tokens
        rows: list[Vectors] = []
        for item in batch.items:
            held = self._held[item.input.sequence]
            assert len(held) == item.input.num_computed
            tokens = item.input.tokens[len(held) : len(held) + item.count]
            held += tokens
            rows.append(np.array(tokens, dtype=np.float32).reshape(-1, 1))
        assert sum(map(len, self._held.values())) <= self._num_cells
        return rows


def test_inputs_of_many_calls_share_a_step() -> None:
    steps = Steps()
    for call in range(4):
        steps.add(call, 2, 2)
    assert steps.step() == [(0, 2), (1, 2), (2, 2), (3, 2), (0, 2), (1, 2), (2, 2), (3, 2)]
    assert steps.ended == [0, 1, 2, 3]


def test_300_inputs_of_10_calls_take_few_steps() -> None:
    steps = Steps(sequences=64, batch_tokens=512, cells=1024)
    for call in range(10):
        steps.add(call, *[8] * 30)
    steps.run()
    assert sorted(steps.ended) == list(range(10))
    assert steps.num_steps == 5
    assert all(steps.answers[call] == list(range(30)) for call in range(10))


def test_a_small_call_does_not_wait_for_a_large_one() -> None:
    steps = Steps()
    steps.add(1, *[8] * 100)
    steps.add(2, 8)
    assert steps.step() == [(1, 8), (2, 8)]
    assert steps.ended == [2]


def test_a_call_that_comes_later_takes_its_turn_at_once() -> None:
    steps = Steps()
    steps.add(1, *[8] * 100)
    steps.step()
    steps.add(2, 8)
    assert (2, 8) in steps.step()


def test_what_did_not_fit_comes_first_in_the_next_step() -> None:
    steps = Steps()
    steps.add(1, *[3] * 20)
    steps.add(2, 15)
    assert (2, 15) not in steps.step()
    assert steps.step()[0] == (2, 15)


def test_inputs_of_an_only_call_overtake_each_other_to_fill_a_batch() -> None:
    steps = Steps()
    steps.add(1, 9, 8, 8, 7)
    assert steps.step() == [(1, 9), (1, 7)]
    assert steps.step() == [(1, 8), (1, 8)]
    assert steps.answers[1] == [0.0, 1.0, 2.0, 3.0]


def test_no_input_overtakes_another_while_a_second_call_waits_for_its_turn() -> None:
    steps = Steps()
    steps.add(1, 9, 8, 7)
    steps.add(2, 5, 2)
    assert steps.step() == [(1, 9), (2, 5), (2, 2)]


def test_calls_that_may_not_mix_are_no_reason_to_leave_a_batch_half_empty() -> None:
    steps = Steps(one_call_at_a_time=True)
    steps.add(1, 9, 8, 7)
    steps.add(2, 5)
    assert steps.step() == [(1, 9), (1, 7)]


def test_vectors_are_told_in_the_order_of_their_inputs() -> None:
    steps = Steps()
    steps.add(1, 9, 12, 7, 1)
    steps.now += 1
    assert steps.step() == [(1, 9), (1, 7)]
    assert steps.answers[1] == [0.0]
    steps.run()
    assert steps.answers[1] == [0.0, 1.0, 2.0, 3.0]


def test_sequences_bound_a_step_too() -> None:
    steps = Steps(sequences=2)
    steps.add(1, 1, 1, 1)
    assert len(steps.step()) == 2
    assert len(steps.step()) == 1


def test_a_long_input_is_computed_in_parts() -> None:
    steps = Steps()
    steps.add(1, 40)
    steps.run()
    assert steps.num_steps == 3
    assert (steps.answers[1], steps.counts[1]) == ([0.0], [40])


def test_a_long_input_leaves_half_of_each_step_to_others() -> None:
    steps = Steps()
    steps.add(1, 40)
    steps.add(2, *[4] * 8)
    assert steps.step() == [(1, 16)]
    assert steps.step() == [(1, 8), (2, 4), (2, 4)]


def test_a_calls_inputs_end_in_their_order_though_one_is_long() -> None:
    steps = Steps()
    steps.add(1, 2, 40, 2, 20, 2)
    steps.add(2, 30, 1, 30)
    steps.run()
    assert steps.counts == {1: [2, 40, 2, 20, 2], 2: [30, 1, 30]}
    assert steps.answers == {1: [0, 1, 2, 3, 4], 2: [0, 1, 2]}


def test_a_long_input_and_others_never_outgrow_the_cells() -> None:
    steps = Steps(cells=40)
    steps.add(1, 38)
    steps.add(2, *[3] * 20)
    steps.run()
    assert sorted(steps.ended) == [1, 2]


CALLS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=1, max_size=5)


@given(CALLS, st.booleans(), st.sampled_from([40, 64]), st.integers(1, 4))
def test_every_call_has_its_vectors_in_order_whatever_comes_with_it(
    calls: list[list[int]], one_call_at_a_time: bool, cells: int, sequences: int
) -> None:
    steps = Steps(cells=cells, sequences=sequences, one_call_at_a_time=one_call_at_a_time)
    for call, lengths in enumerate(calls):
        steps.add(call, *lengths)
    while steps.scheduler.has_work:
        steps.now += 0.06
        assert steps.num_steps <= sum(map(sum, calls))
        steps.step()
    assert steps.counts == dict(enumerate(calls))
    assert steps.answers == {call: list(range(len(calls[call]))) for call in range(len(calls))}


def test_a_cancelled_call_is_gone_at_once() -> None:
    steps = Steps()
    steps.add(1, *[8] * 100)
    steps.add(2, 8)
    steps.scheduler.cancel(1)
    assert steps.step() == [(2, 8)]
    steps.run()
    assert steps.scheduler.num_calls == 0


def test_a_call_cancelled_in_the_middle_of_a_long_input_leaves_no_cells() -> None:
    steps = Steps()
    steps.add(1, 40, 40)
    steps.step()
    steps.scheduler.cancel(1)
    assert steps.scheduler.has_work
    steps.run()
    steps.add(2, 60)
    steps.run()
    assert steps.ended == [2]


def test_cancelling_a_call_twice_or_an_unknown_one_does_nothing() -> None:
    steps = Steps()
    steps.add(1, 4)
    steps.run()
    steps.scheduler.cancel(1)
    steps.scheduler.cancel(7)
    assert not steps.scheduler.has_work


def test_one_call_at_a_time_means_that() -> None:
    steps = Steps(one_call_at_a_time=True)
    steps.add(1, 40, 4)
    steps.add(2, 4)
    calls = []
    while steps.scheduler.has_work:
        calls.append({call for call, _ in steps.step()})
    assert calls == [{1}, {1}, {1}, {1}, {2}, set()]
    assert steps.ended == [1, 2]


def test_after_the_last_call_one_more_step_empties_what_it_used() -> None:
    steps = Steps(one_call_at_a_time=True)
    steps.add(1, 4)
    steps.step()
    assert steps.ended == [1]
    assert steps.scheduler.has_work
    assert steps.step() == []
    assert not steps.scheduler.has_work


def test_too_many_calls_are_refused() -> None:
    steps = Steps(max_waiting=2)
    for call in range(3):
        steps.scheduler.check_room()
        steps.add(call, 4)
    with pytest.raises(QueueFull):
        steps.scheduler.check_room()
    steps.run()
    steps.scheduler.check_room()


def test_a_call_that_fits_one_step_is_told_with_it() -> None:
    steps = Steps()
    steps.add(1, 4, 4, 4)
    steps.step()
    assert steps.answers[1] == [0.0, 1.0, 2.0]
    assert steps.ended == [1]


def test_what_a_long_call_has_is_told_ten_times_a_second() -> None:
    steps = Steps()
    steps.add(1, *[8] * 8)
    told = []
    while steps.scheduler.has_work:
        steps.now += 0.06
        steps.step()
        told.append(len(steps.answers[1]))
    assert told[:4] == [0, 4, 4, 8]


def test_vectors_that_are_ready_are_told_while_another_call_is_computed() -> None:
    steps = Steps(sequences=1)
    steps.add(1, 8, 8)
    steps.add(2, 60)
    steps.step()
    assert steps.answers[1] == []
    steps.now += 1
    assert steps.step() == [(2, 16)]
    assert steps.answers[1] == [0.0]
