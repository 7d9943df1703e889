"""Watches one engine's process: what it says on stderr, when it ends, and how."""

import asyncio
import logging
import signal
import threading
from collections import deque
from contextlib import suppress

from corral_server.models.engine_process import EngineProcess

_log = logging.getLogger("corral.engine")
_LAST_WORDS = 20
_LINE_BYTES = 64 * 1024
_DYING_S = 1.0


class EngineWatch:
    """On the running loop, from here on until `end`."""

    def __init__(self, process: EngineProcess) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._listener = asyncio.create_task(self._listen())
        threading.Thread(target=self._await_end, daemon=True).start()

    async def end(self) -> None:
        """Kills the process, with all it has started, and waits until it is gone."""
        self._process.kill()
        await self._until_gone()

    async def obituary(self) -> str:
        """How the process ended and what it said last. One that does not end is ended here."""
        _, pending = await asyncio.wait([self._ended], timeout=_DYING_S)
        if pending:
            self._process.kill()
        await self._until_gone()
        code = self._ended.result()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how}{self._cause()}"

    async def _until_gone(self) -> None:
        # Neither is awaited itself: whoever is cancelled here would cancel it for all.
        await asyncio.wait([self._ended])
        await asyncio.wait([self._listener])

    def _await_end(self) -> None:
        """On a thread: there is no other way to wait for a process on all systems."""
        code = self._process.wait()
        with suppress(RuntimeError):  # the loop is closed, nobody waits any more
            self._loop.call_soon_threadsafe(self._ended.set_result, code)

    async def _listen(self) -> None:
        """Keeps the engine's last words: of a process that aborts, they are all there is."""
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        await self._loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._process.stderr
        )
        while True:
            try:
                line = await reader.readline()
            except ValueError:  # a line over the limit, which the reader has dropped
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            self._last_words.append(text)
            _log.debug("%d: %s", self._process.pid, text)

    def _cause(self) -> str:
        """What the engine said on stderr that names a cause, without the paths of its build."""
        signs = ("GGML_ASSERT", "what():", "Error", "error")
        for line in reversed(self._last_words):
            if any(sign in line for sign in signs):
                return f" ({line.rpartition('/')[2]})"
        return ""
