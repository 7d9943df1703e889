"""WatchModels: every change of the registry, numbered, kept for a while, told to all who watch."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from corral.v1 import model_manager_pb2 as pb
from corral_server.errors import ServerDraining

# How many changes a watcher may be behind before it is given a snapshot instead.
KEPT = 1024


class ModelWatch:
    """The journal of one start of the server, and its readers.

    A reader that falls behind by more than `KEPT` changes gets a snapshot: memory is bounded
    however slowly somebody reads, and nobody misses the state things are in.
    """

    def __init__(self, instance_id: str, snapshot: Callable[[], pb.ModelsSnapshot]) -> None:
        self._instance_id = instance_id
        self._snapshot = snapshot
        self._sequence = 0
        self._journal: deque[pb.WatchModelsResponse] = deque(maxlen=KEPT)
        self._grew = asyncio.Event()
        self._closed = False

    def record(self, change: pb.WatchModelsResponse) -> None:
        """Numbers `change`, which holds an event and nothing else, and tells it."""
        self._sequence += 1
        change.sequence, change.instance_id = self._sequence, self._instance_id
        self._journal.append(change)
        self._wake()

    def close(self) -> None:
        """Ends all watches after what has happened."""
        self._closed = True
        self._wake()

    async def watch(self, request: pb.WatchModelsRequest) -> AsyncIterator[pb.WatchModelsResponse]:
        """A snapshot, or nothing where `request` goes on from a number that is still kept; then
        every change. Raises ServerDraining once `close` was called and all is told."""
        seen = request.after_sequence if self._can_resume(request) else None
        while not self._closed or self._behind(seen):
            if self._behind(seen):
                for change in self._since(seen):
                    seen = change.sequence
                    yield change
            else:
                await self._grew.wait()
        raise ServerDraining("the server is stopping", retry_after_s=1.0)

    def _can_resume(self, request: pb.WatchModelsRequest) -> bool:
        return (
            request.HasField("after_sequence")
            and request.instance_id == self._instance_id
            and request.after_sequence <= self._sequence
        )

    def _behind(self, seen: int | None) -> bool:
        return seen is None or seen < self._sequence

    def _since(self, seen: int | None) -> list[pb.WatchModelsResponse]:
        """The changes after `seen`, or a snapshot where they are not all kept."""
        if seen is None or self._sequence - seen > len(self._journal):
            return [
                pb.WatchModelsResponse(
                    sequence=self._sequence,
                    instance_id=self._instance_id,
                    snapshot=self._snapshot(),
                )
            ]
        return list(self._journal)[len(self._journal) - (self._sequence - seen) :]

    def _wake(self) -> None:
        waiting, self._grew = self._grew, asyncio.Event()
        waiting.set()
