"""The server's end of a channel, blocking: what an engine hears and tells, frame by frame."""

import socket
import struct
from typing import Self, TypeVar

import msgspec

from corral_server.ipc.messages import Command, Output, Report
from corral_server.request import Delta, Event, Finished

DEADLINE_S = 20.0
_LENGTH = struct.Struct("<I")
_reports = msgspec.msgpack.Decoder(list[Report])

R = TypeVar("R", bound=Report)


class EnginePeer:
    """Raises EOFError at the end of the engine and TimeoutError if it says nothing for long."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.settimeout(DEADLINE_S)
        self._unread: list[Report] = []

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """The server's end, and the socket for the engine."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def send(self, *commands: Command) -> None:
        """One frame."""
        body = msgspec.msgpack.encode(commands)
        self._socket.sendall(_LENGTH.pack(len(body)) + body)

    def frame(self) -> list[Report]:
        """The next frame."""
        (length,) = _LENGTH.unpack(self._receive(_LENGTH.size))
        return _reports.decode(self._receive(length))

    def report(self) -> Report:
        """The next report."""
        while not self._unread:
            self._unread = self.frame()
        return self._unread.pop(0)

    def expect(self, kind: type[R]) -> R:
        """The next report, which is of this kind."""
        report = self.report()
        assert isinstance(report, kind), f"{str(report)[:500]} is no {kind.__name__}"
        return report

    def skip_to(self, kind: type[R]) -> R:
        """The next report of this kind."""
        while not isinstance(report := self.report(), kind):
            pass
        return report

    def answers(self, *calls: int) -> dict[int, list[Event]]:
        """The events of these calls until all of them have finished; those of others are lost."""
        events: dict[int, list[Event]] = {call: [] for call in calls}
        missing = set(calls)
        while missing:
            output = self.expect(Output)
            events.get(output.call, []).append(output.event)
            if output.call in missing and isinstance(output.event, Finished):
                missing.remove(output.call)
        return events

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            chunk = self._socket.recv(size - len(received))
            if not chunk:
                raise EOFError
            received += chunk
        return received

    def close(self) -> None:
        self._socket.close()


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))
