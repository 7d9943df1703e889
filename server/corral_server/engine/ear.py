"""Hears commands while the engine computes: a thread of its own watches the channel.

So a cancel can end a long step instead of waiting for it, and so can the end of the server.
"""

import queue
import threading
from collections.abc import Callable

from corral_server.ipc.channel import Channel
from corral_server.ipc.frame import ChannelClosed
from corral_server.ipc.messages import Cancel, Command


class Ear:
    """Watches `channel` from the first `drain` on."""

    def __init__(self, channel: Channel, *, on_cancel: Callable[[int | None], None]) -> None:
        """`on_cancel` is told of each call that is cancelled as soon as it is heard, on any thread;
        None means all, since the server is gone."""
        self._channel = channel
        self._on_cancel = on_cancel
        self._reading = threading.Lock()
        self._heard: queue.SimpleQueue[list[Command] | ChannelClosed] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def drain(self, *, wait_s: float | None) -> list[Command]:
        """All commands that have arrived. Where none has, waits so many seconds for one, and as
        long as it takes if that is None. Raises ChannelClosed."""
        if self._thread.ident is None:
            self._thread.start()
        if self._heard.empty():
            # The thread may not have got round to what is there already.
            self._read()
        commands = self._next(wait_s)
        while not self._heard.empty():
            commands += self._next(0.0)
        return commands

    def _next(self, wait_s: float | None) -> list[Command]:
        if wait_s == 0.0 and self._heard.empty():
            return []
        try:
            heard = self._heard.get(timeout=wait_s)
        except queue.Empty:
            return []
        if isinstance(heard, ChannelClosed):
            raise heard
        return heard

    def _watch(self) -> None:
        is_open = True
        while is_open:
            self._channel.wait()
            is_open = self._read()

    def _read(self) -> bool:
        """Takes what has arrived; False once the server is gone."""
        with self._reading:
            try:
                commands = self._channel.drain(block=False)
            except ChannelClosed as closed:
                self._heard.put(closed)
                self._on_cancel(None)
                return False
            if commands:
                self._heard.put(commands)
        for command in commands:
            if isinstance(command, Cancel):
                self._on_cancel(command.call)
        return True
