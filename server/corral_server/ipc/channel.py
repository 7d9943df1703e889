"""Length-prefixed frames on a socketpair: `Channel` for the engine, `AsyncChannel` for the server.

A frame is four bytes of length, little-endian, and a msgpack list of messages. The end of the
other process is the end of the stream.
"""

import asyncio
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from corral_server.ipc.messages import Command, Report

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(list[Command])
_reports = msgspec.msgpack.Decoder(list[Report])


class ChannelClosed(Exception):
    """The other process is gone."""


def _frame(messages: Sequence[Any]) -> bytes:
    body = _encoder.encode(messages)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


def _frames(messages: Sequence[Any]) -> list[bytes]:
    """One frame, or as many as the limit asks for: several large answers can come at once."""
    try:
        return [_frame(messages)]
    except ValueError:
        if len(messages) == 1:
            raise
        half = len(messages) // 2
        return _frames(messages[:half]) + _frames(messages[half:])


class Channel:
    """The engine's end: blocking. One thread at a time may send, and one receive."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # One each for those who wait and those who look: poll objects are for one thread.
        self._arrival, self._readable = select.poll(), select.poll()
        self._arrival.register(sock, select.POLLIN)
        self._readable.register(sock, select.POLLIN)

    def send(self, reports: Sequence[Report]) -> None:
        """Sends one frame, blocking while the server is behind. Raises ChannelClosed."""
        try:
            for frame in _frames(reports):
                self._socket.sendall(frame)
        except OSError as gone:
            raise ChannelClosed from gone

    def wait(self) -> None:
        """Waits until something has arrived or the server is gone; on one thread, while another
        may drain."""
        self._arrival.poll()

    def drain(self, *, block: bool) -> list[Command]:
        """All commands that have arrived; with `block`, waits for at least one frame."""
        commands: list[Command] = []
        while self._readable.poll(None if block and not commands else 0):
            commands += _commands.decode(self._receive(self._receive_length()))
        return commands

    def _receive_length(self) -> int:
        length: int = _LENGTH.unpack(self._receive(_LENGTH.size))[0]
        return length

    def _receive(self, size: int) -> bytes:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            try:
                received = self._socket.recv_into(view)
            except OSError as gone:
                raise ChannelClosed from gone
            if not received:
                raise ChannelClosed
            view = view[received:]
        return bytes(buffer)

    def close(self) -> None:
        self._socket.close()


class AsyncChannel:
    """The server's end, on its event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> "AsyncChannel":
        """Takes over `sock`."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, *commands: Command) -> None:
        """Sends one frame without waiting; to a dead engine, nothing happens (`receive` tells)."""
        if not self._writer.is_closing():
            self._writer.write(_frame(commands))

    async def receive(self) -> list[Report]:
        """The next frame's messages. Raises ChannelClosed at the end of the engine."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_FRAME_BYTES:
                raise ChannelClosed(f"a frame of {length} bytes is over the limit")
            return _reports.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError) as gone:
            raise ChannelClosed from gone

    def close(self) -> None:
        self._writer.close()
