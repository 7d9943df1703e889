"""One engine's process. What is here needs no event loop: the first engine starts while the server
itself still does."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import IO

ENGINE_COMMAND = (sys.executable, "-m", "corral_server.engine")

# Threads that compute together spin while they wait for each other; beside others hardly at all
# (`engine/spin_policy.py`). Three times as long costs `small` two parts in a hundred with one
# stream, where threads that sleep leave a processor to the server, and gains `tiny` four.
_SPIN = {"GOMP_SPINCOUNT": "2000"}

# numpy multiplies next to nothing here, but starts threads for it that spin, too.
_NO_BLAS_THREADS = {"OPENBLAS_NUM_THREADS": "1"}

# Without it ggml starts a debugger, where there is one, on every abort.
_NO_DEBUGGER = {"GGML_NO_BACKTRACE": "1"}


class EngineProcess:
    """A process that was started, and our end of the channel to it.

    Whoever has it ends it: `kill`, then `wait`.
    """

    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self._process = process
        self.socket = ours

    @classmethod
    def start(cls, command: tuple[str, ...] = ENGINE_COMMAND) -> "EngineProcess":
        """A fresh process, which knows its end of the channel by its last argument. Raises
        OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(
                    [*command, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    # A group of its own, so that it can be ended whole, but our session: Linux
                    # divides the processor between sessions first, and a load could not give way
                    # to other engines.
                    process_group=0,
                    env=_SPIN | _NO_BLAS_THREADS | os.environ | _NO_DEBUGGER,
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> IO[bytes]:
        assert self._process.stderr is not None
        return self._process.stderr

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """The whole process group: an engine's helpers must not outlive it, nor hold its stderr."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Blocks until it has ended; returns its exit code."""
        return self._process.wait()

    def discard(self) -> None:
        """Ends a process nobody has used."""
        self.kill()
        self.wait()
        self.stderr.close()
        self.socket.close()
