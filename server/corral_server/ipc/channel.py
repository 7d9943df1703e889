"""The engine's end of the socketpair: blocking."""

import select
import socket
from collections.abc import Sequence

from corral_server.ipc.frame import LENGTH, ChannelClosed, decode_commands, frames
from corral_server.ipc.messages import Command, Report


class Channel:
    """One thread at a time may send, and one receive."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # One each for those who wait and those who look: poll objects are for one thread.
        self._arrival, self._readable = select.poll(), select.poll()
        self._arrival.register(sock, select.POLLIN)
        self._readable.register(sock, select.POLLIN)

    def send(self, reports: Sequence[Report]) -> None:
        """Sends one frame, blocking while the server is behind. Raises ChannelClosed."""
        try:
            for frame in frames(reports):
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
            commands += decode_commands(self._receive(self._receive_length()))
        return commands

    def _receive_length(self) -> int:
        length: int = LENGTH.unpack(self._receive(LENGTH.size))[0]
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
