"""Decides what each step computes. Knows slots, cells and budgets, neither llama.cpp nor text.

There is no prefill phase and no decode phase: a sequence has tokens it owns and tokens computed,
and every step closes gaps under a token budget (the idea is that of vLLM's V1 scheduler). Gaps of
one token go first, so running answers move on in every step; what is left of the budget goes to
the longer gaps, prompts, in the order in which they were admitted.
"""

import time
from collections import deque
from collections.abc import Callable

from corral_server.engine.batch import Batch, BatchItem
from corral_server.engine.sequence import Sequence
from corral_server.errors import QueueFull
from corral_server.ipc.messages import Output
from corral_server.request import Finished


class Scheduler:
    """Sequences that run hold a slot and, for every token computed, a cell of the KV cache.

    A waiting sequence is admitted when a slot is free and its tokens fit beside those of all that
    run. Answers grow, so cells can run out later: then the youngest sequence gives its slot up and
    is computed again when there is room. The oldest always goes on, so every sequence ends.
    """

    def __init__(
        self,
        *,
        slots: int,
        cells: int,
        batch_tokens: int,
        max_waiting: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cells = cells
        self._batch_tokens = batch_tokens
        self._max_waiting = max_waiting
        self._clock = clock
        self._free_slots = list(range(slots))
        self._emptied: list[int] = []
        self._running: list[Sequence] = []
        self._waiting: deque[Sequence] = deque()

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def _cells_owned(self) -> int:
        """Cells the running sequences need to have all their tokens computed."""
        return sum(len(sequence.tokens) for sequence in self._running)

    def check_room(self) -> None:
        """Raises QueueFull if one more request may not wait."""
        if len(self._waiting) >= self._max_waiting + len(self._free_slots):
            raise QueueFull(
                f"{len(self._waiting)} requests wait already; come back later",
                retry_after_s=1.0,
                waiting=len(self._waiting),
                limit=self._max_waiting,
            )

    def add(self, sequence: Sequence) -> None:
        """Lets `sequence` wait for its turn."""
        self._waiting.append(sequence)

    def cancel(self, call: int) -> None:
        """Forgets a sequence wherever it is; its slot is free at once. Ignores an unknown one."""
        for sequence in self._running:
            if sequence.call == call:
                self._retire(sequence)
                return
        for sequence in self._waiting:
            if sequence.call == call:
                self._waiting.remove(sequence)
                sequence.close()
                return

    def schedule(self) -> Batch:
        """The next step. Empty only if nothing waits and nothing runs."""
        self._make_room()
        self._admit()
        batch = Batch(freed=self._emptied)
        self._emptied = []
        budget = self._batch_tokens
        for sequence in sorted(self._running, key=lambda sequence: sequence.gap > 1):
            if budget == 0:
                break
            count = min(sequence.gap, budget)
            batch.items.append(BatchItem(sequence, count))
            budget -= count
        return batch

    def update(self, batch: Batch, tokens: list[int]) -> list[Output]:
        """Takes in a computed step: one token for each item that closed its gap, in order."""
        now = self._clock()
        picked = iter(tokens)
        outputs: list[Output] = []
        for item in batch.items:
            sequence = item.sequence
            closes_gap = item.closes_gap
            sequence.num_computed += item.count
            if closes_gap:
                events = sequence.append(next(picked), now)
                outputs += (Output(sequence.call, event) for event in events)
                if events and isinstance(events[-1], Finished):
                    self._retire(sequence)
        return outputs

    def shrink(self) -> bool:
        """Learns from a cache that refused a step: it holds fewer cells than the running sequences
        need. The youngest gives its slot up; False if there is only one, which nothing can help.
        """
        self._cells = self._cells_owned - 1
        return self._preempt_youngest()

    def _make_room(self) -> None:
        while self._cells_owned > self._cells and self._preempt_youngest():
            pass

    def _preempt_youngest(self) -> bool:
        """Takes the slot of the youngest running sequence unless it is the only one."""
        if len(self._running) < 2:
            return False
        sequence = self._running[-1]
        self._release_slot(sequence)
        sequence.num_computed = 0
        self._waiting.appendleft(sequence)
        return True

    def _admit(self) -> None:
        now = self._clock()
        while self._waiting and self._free_slots:
            sequence = self._waiting[0]
            if self._running and self._cells_owned + len(sequence.tokens) > self._cells:
                break
            self._waiting.popleft()
            sequence.slot = self._free_slots.pop(0)
            sequence.clock.started = sequence.clock.started or now
            self._running.append(sequence)

    def _retire(self, sequence: Sequence) -> None:
        self._release_slot(sequence)
        sequence.close()

    def _release_slot(self, sequence: Sequence) -> None:
        assert sequence.slot is not None
        self._running.remove(sequence)
        self._free_slots.append(sequence.slot)
        self._emptied.append(sequence.slot)
        sequence.slot = None
