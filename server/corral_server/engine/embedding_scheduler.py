"""Decides which inputs become vectors in each step. Knows tokens and sequences, not llama.cpp.

Inputs are whole texts, mostly short. A step takes as many as fit one batch, from all calls in turn,
so a call of one input does not wait for a call of thousands. Where there is one call only, its
inputs overtake each other to fill batches to the brim.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

from corral_server.engine.embedding_job import (
    EmbeddingBatch,
    EmbeddingInput,
    EmbeddingItem,
    EmbeddingJob,
)
from corral_server.engine.packing import best_fit
from corral_server.engine.pooling import Pool, Vectors
from corral_server.errors import QueueFull
from corral_server.ipc.messages import Embedded

# What a long call has so far is told so often. A message costs the server and the caller half a
# millisecond each, on the cores that compute: with one for each step, 3 % of all time.
_TELL_S = 0.1

# How many inputs of a call one may overtake, at most.
_WINDOW = 64


class EmbeddingScheduler:
    """An input that is longer than a batch is computed in parts, one such input at a time and with
    half of each batch while others wait. A call is told its vectors in their order."""

    def __init__(
        self,
        *,
        sequences: int,
        cells: int,
        batch_tokens: int,
        max_waiting: int,
        one_call_at_a_time: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Inputs may have up to `cells` tokens."""
        self._cells = cells
        self._batch_tokens = batch_tokens
        self._max_waiting = max_waiting
        self._one_call_at_a_time = one_call_at_a_time
        self._clock = clock
        self._free = list(range(sequences))
        self._emptied: list[int] = []
        self._jobs: dict[int, EmbeddingJob] = {}
        self._queue: deque[EmbeddingJob] = deque()
        self._long: EmbeddingInput | None = None

    @property
    def has_work(self) -> bool:
        """Whether a step is due, if only to empty what was used."""
        return bool(self._jobs or self._emptied)

    @property
    def num_calls(self) -> int:
        return len(self._jobs)

    def check_room(self) -> None:
        """Raises QueueFull if one more call may not wait."""
        if len(self._jobs) > self._max_waiting:
            raise QueueFull.of(waiting=len(self._jobs), limit=self._max_waiting)

    def add(self, job: EmbeddingJob) -> None:
        """Lets `job` wait for its turn."""
        job.told_at = self._clock()
        self._jobs[job.call] = job
        self._queue.append(job)

    def cancel(self, call: int) -> None:
        """Forgets a call wherever it is. Ignores an unknown one."""
        job = self._jobs.pop(call, None)
        if job is None:
            return
        if job in self._queue:
            self._queue.remove(job)
        if self._long is not None and self._long.job is job:
            self._release(self._long)
            self._long = None

    def schedule(self) -> EmbeddingBatch:
        """The next step. Without items only if no call is left."""
        batch = EmbeddingBatch(freed=self._emptied)
        self._emptied = []
        budget = self._batch_tokens
        if self._long is not None:
            shares = bool(self._queue) and not self._one_call_at_a_time
            count = min(self._long.gap, budget // 2 if shares else budget)
            batch.items.append(EmbeddingItem(self._long, count))
            budget = min(budget - count, self._cells - len(self._long.tokens))
        self._fill(batch, budget)
        return batch

    def update(self, batch: EmbeddingBatch, rows: Sequence[Vectors]) -> list[Embedded]:
        """Takes in a computed step: the vectors of each item's tokens, in order. Returns what is
        due to be told."""
        for item, vectors in zip(batch.items, rows, strict=True):
            item.input.pool.add(vectors)
            item.input.num_computed += item.count
            if item.input.gap == 0:
                item.input.job.untold[item.input.number] = item.input
                self._release(item.input)
        if self._long is not None and self._long.gap == 0:
            if self._long.job.has_more:
                self._queue.append(self._long.job)
            self._long = None
        now = self._clock()
        due = [job for job in self._jobs.values() if _is_due(job, now)]
        return [self._tell(job, now) for job in due]

    def _fill(self, batch: EmbeddingBatch, budget: int) -> None:
        """Adds whole inputs, one of each call in turn. Calls whose input does not fit come first
        in the next step, so they wait for no longer than that."""
        passed: list[EmbeddingJob] = []
        while self._queue and self._free and budget > 0:
            job = self._queue.popleft()
            items = self._take(job, budget)
            if not items:
                passed.append(job)
                continue
            batch.items += items
            budget -= sum(item.count for item in items)
            if job.has_more and (self._long is None or self._long.job is not job):
                self._queue.append(job)
        self._queue.extendleft(reversed(passed))

    def _take(self, job: EmbeddingJob, budget: int) -> list[EmbeddingItem]:
        """What this step computes of `job`: its next input, and others beside it where no call
        waits for its turn; the first part of one that is longer than a batch; or nothing."""
        if self._one_call_at_a_time and job is not next(iter(self._jobs.values())):
            return []
        (length,) = job.next_lengths(1)
        if length > budget:
            if length <= self._batch_tokens or budget < self._batch_tokens:
                return []
            (self._long,) = self._start(job, [0])
            return [EmbeddingItem(self._long, budget)]
        is_alone = self._one_call_at_a_time or not self._queue
        most = min(len(self._free), _WINDOW) if is_alone else 1
        started = self._start(job, best_fit(job.next_lengths(most), budget))
        return [EmbeddingItem(input, input.gap) for input in started]

    def _start(self, job: EmbeddingJob, positions: list[int]) -> list[EmbeddingInput]:
        numbers = job.take(positions)
        return [
            EmbeddingInput(job, number, self._free.pop(0), Pool(job.pooling)) for number in numbers
        ]

    def _release(self, input: EmbeddingInput) -> None:
        self._free.append(input.sequence)
        self._emptied.append(input.sequence)

    def _tell(self, job: EmbeddingJob, now: float) -> Embedded:
        inputs, job.told_at = job.tell(), now
        is_last = job.num_told == len(job.inputs)
        if is_last:
            del self._jobs[job.call]
        vectors = [input.pool.vector(normalize=job.normalize) for input in inputs]
        return Embedded(
            call=job.call,
            size=len(vectors[0]),
            vectors=b"".join(vector.astype("<f4").tobytes() for vector in vectors),
            token_counts=tuple(len(input.tokens) for input in inputs),
            is_last=is_last,
        )


def _is_due(job: EmbeddingJob, now: float) -> bool:
    return job.is_computed or (job.has_news and now - job.told_at >= _TELL_S)
