"""Wakes the one task that waits for something to arrive."""

import asyncio


class Wakeup:
    """A future for each wait: an asyncio.Event, which is for many tasks, costs twice as much."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Wakes the task that waits; with none, nothing happens."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Waits for the next `notify`. For one task at a time, which looks first whether what it
        waits for is there."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter
