"""Decides what each step computes. Knows slots, cells and budgets, neither llama.cpp nor text.

There is no prefill phase and no decode phase: a sequence has tokens it owns and tokens computed,
and every step closes gaps under a token budget (the idea is that of vLLM's V1 scheduler). Gaps of
one token go first, so running answers move on in every step; what is left of the budget goes to
the longer gaps, prompts: the shortest first, with a part for the oldest. Answers that have just
begun pause while others wait to begin, so that of many that come at once all begin soon.
"""

import time
from collections.abc import Callable

from corral_server.engine.batch import Batch, BatchItem, Operation
from corral_server.engine.division import Want, divide
from corral_server.engine.kv_cache import WORTH_SHARING, KvCache
from corral_server.engine.pace import Pace
from corral_server.engine.pause import moving_answers
from corral_server.engine.sequence import Sequence
from corral_server.engine.throughput import Throughput
from corral_server.engine.waiting import WaitingQueue, urgency
from corral_server.errors import DeadlineExceeded
from corral_server.ipc.messages import EngineLoad, Failure, Output, Rejected
from corral_server.request import Finished, Priority


class Scheduler:
    """Sequences that run hold a slot and, for every token computed, a cell of the KV cache.

    A waiting sequence is admitted when a slot is free and its tokens fit beside those of all that
    run. Answers grow, so cells can run out later: then the youngest sequence gives its slot up and
    goes on when there is room. The oldest always goes on, so every sequence ends.
    """

    def __init__(
        self,
        *,
        slots: int,
        cache: KvCache,
        pace: Pace,
        max_waiting: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._cache = cache
        self._pace = pace
        self._clock = clock
        self._running: list[Sequence] = []
        self._waiting = WaitingQueue(limit=max_waiting)
        self._began = 0.0
        self._completion = Throughput()
        self._prompt = Throughput()
        self._prompt_tokens = self._cached_tokens = 0

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    @property
    def has_unsettled(self) -> bool:
        """Whether something has still to move in the cache before it is as it is counted."""
        return self._cache.has_operations

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def check_room(self) -> None:
        """Raises QueueFull if one more request may not wait."""
        self._waiting.check_room(slots=self._slots, free=self._slots - len(self._running))

    def position(self, priority: Priority) -> tuple[int, float | None]:
        """How many requests one more would wait behind, and for how many seconds; None if that is
        not known, or nothing is waited for."""
        ahead = self._waiting.position(priority)
        if len(self._running) + ahead < self._slots:
            return 0, None
        return ahead, self._waiting.estimate_s(ahead, slots=self._slots)

    def first_step_s(self) -> float:
        """How long a step takes that begins with those that wait now; 0 if nobody does, and while
        that is not known."""
        return self._pace.duration_s(sum(each.gap for each in self._waiting))

    def add(self, sequence: Sequence) -> None:
        """Lets `sequence` wait for its turn."""
        self._waiting.add(sequence)

    def cancel(self, call: int) -> None:
        """Forgets a sequence wherever it is; its slot is free at once. Ignores an unknown one."""
        for sequence in (*self._running, *self._waiting):
            if sequence.call == call:
                self._end(sequence)
                return

    def expire(self) -> list[Rejected]:
        """Forgets sequences whose caller has given up by now, and says so."""
        now = self._clock()
        late = [each for each in (*self._running, *self._waiting) if each.deadline <= now]
        rejected = [Rejected(each.call, Failure.of(_too_late(each))) for each in late]
        for sequence in late:
            self._end(sequence)
        return rejected

    def load(self, call: int) -> EngineLoad:
        """How busy all this is now, as the answer to `call`."""
        now = self._clock()
        ahead, wait_s = self.position(Priority.NORMAL)
        is_free = len(self._running) + ahead < self._slots
        return EngineLoad(
            call=call,
            slots=self._slots,
            running=len(self._running),
            waiting=len(self._waiting),
            max_waiting=self._waiting.limit,
            cells=self._cache.cells,
            cells_used=self._cache.num_used,
            cells_cached=self._cache.num_kept,
            completion_tokens_per_s=self._completion.per_second(now),
            prompt_tokens_per_s=self._prompt.per_second(now),
            prompt_cached_ratio=self._cached_tokens / max(self._prompt_tokens, 1),
            estimated_wait_s=0.0 if is_free else wait_s,
        )

    def schedule(self) -> Batch:
        """The next step. Without items only if nothing waits and nothing runs."""
        self._began = self._clock()
        self._admit()
        if self._running:
            self._cache.tidy()
        items = self._answers()
        if len(items) < len(self._running):
            budget = self._pace.prompt_tokens(num_answers=len(items))
            items += self._prompts(budget, len(items))
        return Batch(self._cache.take_operations(), items)

    def update(self, batch: Batch, tokens: list[int]) -> list[Output]:
        """Takes in a computed step: one token for each item that closed its gap, in order."""
        now = self._clock()
        if batch.operations:
            self.settle()
        self._learn(batch, now)
        picked = iter(tokens)
        outputs: list[Output] = []
        for item in batch.items:
            sequence = item.sequence
            assert sequence.slot is not None
            start, closes_gap = sequence.num_computed, item.closes_gap
            sequence.num_computed = start + item.count
            self._cache.extend(sequence.slot, sequence.tokens[start : sequence.num_computed])
            if self._cache.wants_checkpoints and sequence.num_computed == sequence.num_prompt - 1:
                self._cache.checkpoint(sequence.slot)
            if closes_gap:
                events = sequence.append(next(picked), now)
                outputs += (Output(sequence.call, event) for event in events)
                if events and isinstance(events[-1], Finished):
                    self._waiting.learn(now - sequence.clock.started)
                    self._end(sequence)
        return outputs

    def spare(self) -> list[Operation]:
        """What can be moved in the cache while nothing runs: little enough for a request to wait
        for it. To be followed by `settle`."""
        self._cache.copy_ahead()
        return self._cache.take_operations()

    def settle(self) -> None:
        """To be called when operations were carried out."""
        self._cache.settle()

    def shrink(self) -> bool:
        """Learns from a cache that refused a step: it holds no more cells than are used. What is
        kept goes first, then the youngest gives its slot up; False if nothing can help."""
        self._cache.cells = self._cache.cells - self._cache.num_free
        if self._cache.num_kept:
            self._cache.make_room(self._cache.num_kept)
            return True
        return self._preempt_youngest()

    def _admit(self) -> None:
        coming: int | None = None
        while (sequence := self._waiting.next(self._began)) is not None:
            if len(self._running) == self._slots:
                if not self._displace(sequence):
                    return
                coming = None
            if coming is None:
                coming = sum(self._to_come(index) for index in range(len(self._running)))
            if self._running and not self._fits(sequence, coming):
                return
            self._waiting.remove(sequence)
            self._start(sequence)
            coming += self._to_come(len(self._running) - 1)

    def _start(self, sequence: Sequence) -> None:
        scope = sequence.request.cache_scope
        sequence.slot, known = self._cache.open(scope, sequence.prefix)
        if not sequence.clock.started:
            sequence.clock.started = self._began
            self._prompt_tokens += sequence.num_prompt
            self._found(sequence, known)
        sequence.num_computed = known
        self._running.append(sequence)

    def _found(self, sequence: Sequence, known: int) -> None:
        """The cache holds so many tokens of a prompt, more than were computed for it."""
        if sequence.num_completion:
            return
        found = min(known - sequence.num_computed, sequence.num_prompt - 1 - sequence.num_cached)
        sequence.num_cached += found
        self._cached_tokens += found

    def _displace(self, sequence: Sequence) -> bool:
        """Makes a slot free for `sequence` if one that matters less holds one."""
        if not self._running:
            return False
        # Of equals the youngest has the least to lose.
        least = min(reversed(self._running), key=_urgency_at_start)
        if _urgency_at_start(least) >= sequence.request.priority:
            return False
        self._preempt(least)
        return True

    def _fits(self, sequence: Sequence, coming: int) -> bool:
        """Whether its tokens fit beside those that run and the `coming` tokens of theirs. What a
        prompt will share with one that is being computed counts once."""
        known = self._cache.match(sequence.request.cache_scope, sequence.prefix)
        shared = max((self._common(sequence, other) for other in self._running), default=0)
        wanted = len(sequence.tokens) - max(known, shared)
        return self._cache.num_used + coming + wanted <= self._cache.cells

    def _to_come(self, index: int) -> int:
        """Cells a running sequence will take for the tokens it owns."""
        sequence = self._running[index]
        shared = max((self._common(sequence, other) for other in self._running[:index]), default=0)
        return len(sequence.tokens) - max(sequence.num_computed, shared)

    def _answers(self) -> list[BatchItem]:
        """One token for each sequence that needs no more, the oldest first. Where there is no cell
        left the youngest give way; one is set aside for the oldest if that is a prompt."""
        claimed = int(bool(self._running) and self._running[0].gap > 1)
        moving = moving_answers(self._running, now=self._began, target_s=self._pace.target_s)
        for sequence in moving:
            while sequence.slot is not None and self._cache.make_room(claimed + 1) <= claimed:
                if not self._preempt_youngest():
                    break
            claimed += 1
        return [BatchItem(each, 1) for each in moving if each.slot is not None]

    def _prompts(self, budget: int, claimed: int) -> list[BatchItem]:
        """Parts of prompts within `budget`, beside items that claim so many cells."""
        items: list[BatchItem] = []
        for sequence, count in self._parts(budget):
            room = self._cache.make_room(claimed + count) - claimed
            while room <= 0 and not claimed and self._preempt_youngest():
                room = self._cache.make_room(count)
            if room > 0 and sequence.slot is not None:
                items.append(BatchItem(sequence, min(count, room)))
                claimed += items[-1].count
        return items

    def _parts(self, budget: int) -> list[tuple[Sequence, int]]:
        """Prompts to go on with, and how many tokens of each."""
        if budget <= 0:
            return []
        prompts = [each for each in self._running if each.gap > 1 and not self._follows(each)]
        counts = divide(budget, [Want(each.gap, self._most(each)) for each in prompts])
        return [(prompt, count) for prompt, count in zip(prompts, counts, strict=True) if count]

    def _most(self, prompt: Sequence) -> int:
        """How many tokens may be computed in one step: up to where a checkpoint is due."""
        to_checkpoint = prompt.num_prompt - 1 - prompt.num_computed
        return to_checkpoint if self._cache.wants_checkpoints and to_checkpoint > 0 else prompt.gap

    def _follows(self, sequence: Sequence) -> bool:
        """Whether an older prompt is about to compute what this one needs next. What it has
        computed of that by now is shared."""
        if sequence.gap <= WORTH_SHARING:
            return False
        assert sequence.slot is not None
        known = self._cache.adopt(sequence.slot, sequence.prefix, sequence.num_computed)
        self._found(sequence, known)
        sequence.num_computed = known
        for other in self._running[: self._running.index(sequence)]:
            shared = self._common(sequence, other)
            if other.gap > 1 and other.num_computed < shared >= known + WORTH_SHARING:
                return True
        return False

    def _common(self, sequence: Sequence, other: Sequence) -> int:
        """Tokens of both prompts' beginning that may be computed once for both."""
        if not self._cache.shares or sequence.request.cache_scope != other.request.cache_scope:
            return 0
        return sequence.common_with(other)

    def _learn(self, batch: Batch, now: float) -> None:
        """Takes in how long a step took, and what it brought."""
        answers = sum(item.count == 1 for item in batch.items)
        prompt_tokens = batch.num_tokens - answers
        self._pace.learn(now - self._began, num_answers=answers, prompt_tokens=prompt_tokens)
        self._completion.add(sum(item.closes_gap for item in batch.items), now)
        self._prompt.add(prompt_tokens, now)

    def _preempt_youngest(self) -> bool:
        """Takes the slot of the youngest running sequence unless it is the only one."""
        if len(self._running) < 2:
            return False
        self._preempt(self._running[-1])
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self._release_slot(sequence)
        sequence.num_computed = 0
        self._waiting.put_back(sequence)

    def _end(self, sequence: Sequence) -> None:
        if sequence.slot is None:
            self._waiting.remove(sequence)
        else:
            self._release_slot(sequence)
        sequence.close()

    def _release_slot(self, sequence: Sequence) -> None:
        assert sequence.slot is not None
        self._running.remove(sequence)
        self._cache.close(sequence.slot)
        sequence.slot = None


def _urgency_at_start(sequence: Sequence) -> float:
    return urgency(sequence, sequence.clock.started)


def _too_late(sequence: Sequence) -> DeadlineExceeded:
    doing = "was computed" if sequence.slot is not None else "waited for a slot"
    return DeadlineExceeded(
        f"the deadline passed while the request {doing}",
        completion_tokens=sequence.num_completion,
    )
