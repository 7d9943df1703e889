"""A download that several callers may watch, and that none of them owns."""

import asyncio
from collections.abc import AsyncGenerator

from corral_server.config import HubSource
from corral_server.errors import CorralError
from corral_server.hub.messages import PulledModel, PullProgress


class HubPull:
    """The state of one download. The Hub object changes it; callers come and go."""

    def __init__(self, source: HubSource) -> None:
        self.source = source
        self.progress: PullProgress | None = None
        self._outcome: PulledModel | CorralError | None = None
        self._news = asyncio.Event()

    async def watch(self) -> AsyncGenerator[PullProgress, None]:
        """How far it is, now and after every change, until its end. A slow reader misses some, but
        never the last. Raises nothing: `result` does."""
        seen: PullProgress | None = None
        while True:
            news = self._news
            if self.progress is not None and self.progress != seen:
                seen = self.progress
                yield seen
            elif self._outcome is not None:
                return
            else:
                await news.wait()

    async def result(self) -> PulledModel:
        """The model, once it is there. Raises why it will not be."""
        async for _ in self.watch():
            pass
        assert self._outcome is not None
        if isinstance(self._outcome, CorralError):
            raise self._outcome
        return self._outcome

    def advance(self, progress: PullProgress) -> None:
        self.progress = progress
        self._tell()

    def end(self, outcome: PulledModel | CorralError) -> None:
        """The first end counts. A model that was there already gets its one step here."""
        if isinstance(outcome, PulledModel) and self.progress is None:
            file = outcome.path.partition(f"/snapshots/{outcome.commit}/")[2]
            self.progress = PullProgress(file, outcome.size_bytes, outcome.size_bytes)
        self._outcome = self._outcome or outcome
        self._tell()

    def _tell(self) -> None:
        """Wakes everyone who waits; who comes later, waits for the next news."""
        self._news.set()
        self._news = asyncio.Event()
