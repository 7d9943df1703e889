"""The server's end of the socketpair, on its event loop."""

import asyncio
import socket
from collections import deque
from typing import cast

from corral_server.ipc.frame import LENGTH, MAX_FRAME_BYTES, ChannelClosed, decode_reports, frame
from corral_server.ipc.messages import Command, Report
from corral_server.ipc.wakeup import Wakeup

# What most frames fit; a longer one gets a buffer of its own length.
_BUFFER_BYTES = 64 * 1024

# When more bytes than that lie unread, the engine has to wait.
_MAX_UNREAD_BYTES = 2 * _BUFFER_BYTES


class AsyncChannel(asyncio.BufferedProtocol):
    """Frames are cut out of one buffer that stays: a stream reader takes a quarter of a MiB from
    the system for every token and gives it back, and wakes its reader twice."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._filled = 0
        self._unread: deque[bytes] = deque()
        self._end: ChannelClosed | None = None
        self._wakeup = Wakeup()

    @classmethod
    async def open(cls, sock: socket.socket) -> "AsyncChannel":
        """Takes over `sock`."""
        _, channel = await asyncio.get_running_loop().create_unix_connection(cls, sock=sock)
        return channel

    def send(self, *commands: Command) -> None:
        """Sends one frame without waiting; to a dead engine, nothing happens (`receive` tells)."""
        body = frame(commands)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(body)

    async def receive(self) -> list[Report]:
        """The next frame's messages; for one reader. Raises ChannelClosed at the end of the
        engine, or msgspec.DecodeError."""
        while not self._unread:
            if self._end is not None:
                raise self._end
            await self._wakeup.wait()
        body = self._unread.popleft()
        if not self._unread and self._transport is not None:
            self._transport.resume_reading()
        return decode_reports(body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        start = 0
        while (end := self._frame_end(start)) <= self._filled:
            self._unread.append(bytes(self._buffer[start + LENGTH.size : end]))
            start = end
        self._make_room(start, end - start)
        if sum(map(len, self._unread)) > _MAX_UNREAD_BYTES:
            assert self._transport is not None
            self._transport.pause_reading()
        if self._unread:
            self._wakeup.notify()

    def connection_lost(self, exc: Exception | None) -> None:
        self._close(ChannelClosed())

    def _frame_end(self, start: int) -> int:
        """Where the frame that begins at `start` ends, as far as that is known."""
        if self._filled < start + LENGTH.size:
            return start + LENGTH.size + 1
        (length,) = LENGTH.unpack_from(self._buffer, start)
        if length > MAX_FRAME_BYTES:
            self._close(ChannelClosed(f"a frame of {length} bytes is over the limit"))
            self.close()
            return self._filled + 1
        return start + LENGTH.size + int(length)

    def _make_room(self, start: int, needed: int) -> None:
        """Moves what is left from `start` on to the front of a buffer that takes `needed` bytes.
        What is there already stays: a long frame comes in many parts."""
        size = max(_BUFFER_BYTES, needed)
        if start == 0 and len(self._buffer) == size:
            return
        rest = bytes(self._buffer[start : self._filled])
        if len(self._buffer) != size:
            self._buffer = memoryview(bytearray(size))
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)

    def _close(self, end: ChannelClosed) -> None:
        self._end = self._end or end
        self._wakeup.notify()
