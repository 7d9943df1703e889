"""Ends models that nobody uses: one task for all of them, asleep until the next one may be due."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from corral_server.models.entry import ModelEntry, ModelState


class Reaper:
    """Unloads what was idle for its keep_alive. Costs nothing where no model has one."""

    def __init__(
        self,
        entries: Callable[[], Iterable[ModelEntry]],
        unload: Callable[[ModelEntry], object],
    ) -> None:
        """`unload` begins the unload of an idle model and does not wait for it."""
        self._entries = entries
        self._unload = unload
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._closed = False

    def look_again(self, entry: ModelEntry) -> None:
        """`entry` has changed its state, or has become idle."""
        if entry.spec.keep_alive_s is None or self._closed:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._reap(), name="reaper")
        self._changed.set()

    async def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _reap(self) -> None:
        while True:
            self._changed.clear()
            now = time.monotonic()
            for entry in [entry for entry, expires_at in self._expiring() if expires_at <= now]:
                self._unload(entry)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(now)):
                    await self._changed.wait()

    def _expiring(self) -> Iterable[tuple[ModelEntry, float]]:
        """The idle models that have an end, and when it is."""
        return (
            (entry, entry.expires_at)
            for entry in self._entries()
            if entry.state is ModelState.READY and entry.expires_at is not None
        )

    def _pause_s(self, now: float) -> float | None:
        """Until the next model may be due; None where none will be by itself."""
        ends = [expires_at for _, expires_at in self._expiring()]
        return max(min(ends) - now, 0.0) if ends else None
