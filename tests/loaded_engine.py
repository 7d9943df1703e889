"""An engine process with a model in it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import psutil

from corral_server.errors import CorralError
from corral_server.ipc.messages import (
    Embedded,
    LoadFailed,
    Probed,
    Proceed,
    Ready,
    Rejected,
    Report,
    Start,
)
from engine_peer import DEADLINE_S, EnginePeer

R = TypeVar("R", bound=Report)


@dataclass
class LoadedEngine:
    peer: EnginePeer
    process: subprocess.Popen[bytes]
    probed: Probed
    ready: Ready

    @property
    def resident_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def vectors(self, *calls: int) -> dict[int, npt.NDArray[np.float32]]:
        """The vectors of these calls, a row for each input, once all of them are done."""
        parts: dict[int, list[npt.NDArray[np.float32]]] = {call: [] for call in calls}
        missing = set(calls)
        while missing:
            part = self.peer.skip_to(Embedded)
            parts[part.call].append(rows_of(part))
            if part.is_last:
                missing.remove(part.call)
        return {call: np.concatenate(rows) for call, rows in parts.items()}

    def rejection(self) -> CorralError:
        return self.peer.skip_to(Rejected).failure.error()


def rows_of(part: Embedded) -> npt.NDArray[np.float32]:
    return np.frombuffer(part.vectors, "<f4").reshape(-1, part.size)


@contextmanager
def loaded(start: Start) -> Iterator[LoadedEngine]:
    """Raises what the engine says is wrong with the load."""
    peer, theirs = EnginePeer.pair()
    with theirs:
        fd = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "corral_server.engine", str(fd)],
            pass_fds=[fd],
            stderr=subprocess.DEVNULL,
        )
    try:
        peer.send(start)
        probed = _expect(peer, Probed)
        peer.send(Proceed())
        yield LoadedEngine(peer, process, probed, _expect(peer, Ready))
    finally:
        peer.close()
        process.kill()
        process.wait(DEADLINE_S)


def _expect(peer: EnginePeer, kind: type[R]) -> R:
    while not isinstance(report := peer.report(), kind):
        if isinstance(report, LoadFailed):
            raise report.failure.error()
    return report
