"""Requests that wait for a slot: how many, who is next, and how long it will take."""

from collections import deque
from collections.abc import Iterator

from corral_server.engine.sequence import Sequence
from corral_server.errors import QueueFull
from corral_server.request import Priority

# A request that has waited so long counts as one of the next priority.
_RISES_AFTER_S = 10.0

# How much the last answer's length counts in the estimate.
_WEIGHT = 0.2


class WaitingQueue:
    """By priority, within one by arrival. Bounded by `limit`, beyond what slots would take now."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self._queues = {priority: deque[Sequence]() for priority in Priority}
        self._service_s: float | None = None

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __iter__(self) -> Iterator[Sequence]:
        for queue in self._queues.values():
            yield from queue

    def check_room(self, *, slots: int, free: int) -> None:
        """Raises QueueFull if one more request may not wait. `free` of the `slots` are free."""
        if len(self) < self.limit + free:
            return
        wait_s = self.estimate_s(len(self), slots=slots)
        raise QueueFull.of(waiting=len(self), limit=self.limit, wait_s=wait_s)

    def add(self, sequence: Sequence) -> None:
        self._queues[sequence.request.priority].append(sequence)

    def put_back(self, sequence: Sequence) -> None:
        """Lets one that ran already go before all of its priority."""
        self._queues[sequence.request.priority].appendleft(sequence)

    def remove(self, sequence: Sequence) -> None:
        self._queues[sequence.request.priority].remove(sequence)

    def next(self, now: float) -> Sequence | None:
        """Whose turn it is; None if nobody waits."""
        heads = [queue[0] for queue in self._queues.values() if queue]
        return min(heads, key=lambda head: _rank(head, now), default=None)

    def position(self, priority: Priority) -> int:
        """How many go before one more of `priority`."""
        return sum(len(queue) for other, queue in self._queues.items() if other >= priority)

    def learn(self, service_s: float) -> None:
        """A request has held its slot for so long."""
        known = self._service_s
        self._service_s = service_s if known is None else known + _WEIGHT * (service_s - known)

    def estimate_s(self, position: int, *, slots: int) -> float | None:
        """How long one with `position` requests before it will wait, in seconds; None while
        no request has ended yet."""
        if self._service_s is None or slots == 0:
            return None
        return self._service_s * (position + 1) / slots


def urgency(sequence: Sequence, now: float) -> float:
    """The priority a request has risen to by `now`."""
    return sequence.request.priority + (now - sequence.clock.arrived) // _RISES_AFTER_S


def _rank(sequence: Sequence, now: float) -> tuple[float, float]:
    """The smaller goes first."""
    return -urgency(sequence, now), sequence.clock.arrived
