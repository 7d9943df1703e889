"""How long threads that compute together spin before they sleep, when they wait for each other.

libgomp reads that from `GOMP_SPINCOUNT` once, when it starts. But while a process has more of its
threads than there are processors they spin for a hundred rounds only, as its manual says of that
variable: so threads that sleep make all others sleep sooner.
"""

import ctypes
import threading

from llama_cpp import llama_cpp as c

from corral_server.processors import usable_processors


class Spin:
    """What this process does. Where llama.cpp is built without libgomp there is nothing to change.
    For one thread."""

    def __init__(self) -> None:
        self._sleepers: _Sleepers | None = None

    def be_brief(self, brief: bool) -> None:
        """Whether others want the processors: then threads spin for no longer than it takes to
        sleep."""
        if brief == (self._sleepers is not None):
            return
        if self._sleepers is not None:
            self._sleepers.dismiss()
            self._sleepers = None
        elif hasattr(c._lib, "GOMP_parallel"):
            self._sleepers = _Sleepers()
            self._sleepers.start()


class _Sleepers(threading.Thread):
    """Has a team of libgomp's threads, more than there are processors, which ends with it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._dismissed = threading.Event()

    def run(self) -> None:
        # Some function in C that does next to nothing with what it is given.
        nothing = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p)
        team = usable_processors() + 1
        c._lib.GOMP_parallel(nothing, ctypes.c_char_p(b""), ctypes.c_uint(team), ctypes.c_uint(0))
        self._dismissed.wait()

    def dismiss(self) -> None:
        self._dismissed.set()
        self.join()
