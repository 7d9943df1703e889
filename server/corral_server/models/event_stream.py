"""The events of one generation between its engine and its reader."""

from collections import deque

from corral_server.errors import CorralError
from corral_server.ipc.wakeup import Wakeup
from corral_server.request import Delta, Event

# About a minute of a fast answer. Memory is bounded by it, and HTTP/2 bounds only bytes in flight.
MAX_PENDING = 16_384


class EventStream:
    """Filled by the engine's reader task, emptied by one handler. Deltas that are ready together
    come out as one, so a reader that is behind catches up instead of falling further back."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._error: CorralError | None = None
        self._wakeup = Wakeup()

    @property
    def is_full(self) -> bool:
        return len(self._events) >= MAX_PENDING

    @property
    def has_failed(self) -> bool:
        return self._error is not None

    def push(self, event: Event) -> None:
        """Adds `event`; after `fail` nothing, since the reader would miss what came between."""
        if self._error is None:
            self._events.append(event)
            self._wakeup.notify()

    def fail(self, error: CorralError) -> None:
        """Ends the stream with `error`, after what has arrived before."""
        self._error = self._error or error
        self._wakeup.notify()

    async def next(self) -> Event:
        """The next event. Raises the error the stream was ended with."""
        while not self._events:
            if self._error is not None:
                raise self._error
            await self._wakeup.wait()
        event = self._events.popleft()
        return self._merge(event) if isinstance(event, Delta) else event

    def _merge(self, first: Delta) -> Delta:
        deltas = [first]
        while self._events and isinstance(self._events[0], Delta):
            deltas.append(self._events[0])
            self._events.popleft()
        if len(deltas) == 1:
            return first
        return Delta(
            text="".join(delta.text for delta in deltas),
            completion_tokens=deltas[-1].completion_tokens,
            tokens=tuple(token for delta in deltas for token in delta.tokens),
        )
