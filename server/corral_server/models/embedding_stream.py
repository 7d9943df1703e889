"""The vectors of one call between its engine and its reader."""

from collections import deque

from corral_server.errors import CorralError
from corral_server.ipc.messages import Embedded
from corral_server.ipc.wakeup import Wakeup


class EmbeddingStream:
    """Filled by the engine's reader task, emptied by one handler. What is in it is bounded by what
    the call asked for, and that is in memory already."""

    def __init__(self) -> None:
        self._parts: deque[Embedded] = deque()
        self._error: CorralError | None = None
        self._wakeup = Wakeup()

    def push(self, part: Embedded) -> None:
        self._parts.append(part)
        self._wakeup.notify()

    def fail(self, error: CorralError) -> None:
        """Ends the stream with `error`, after what has arrived before."""
        self._error = self._error or error
        self._wakeup.notify()

    async def next(self) -> Embedded:
        """The next part. Raises the error the stream was ended with."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            await self._wakeup.wait()
        return self._parts.popleft()
