"""Host memory for what leaves the KV cache, had from the system before it is needed.

The system gives memory out page by page, when it is first written to. That takes five times as long
as to write it, and on a virtual machine up to thirty times: a burst of requests would wait for it,
whose first step begins when what was kept for others has left. So a thread that runs only where a
processor has nothing else to do asks for it ahead.
"""

import ctypes
import mmap
import threading

from corral_server.llama.process import populate, wait_for_idleness

State = bytearray | memoryview

# Memory is taken in runs of blocks, and asked for block by block. There are not more than can be
# looked through at every step.
_SMALLEST_BLOCK, _MOST_BLOCKS = 16 * 1024, 8192


class HostMemory:
    """At most `size` bytes, which take none of the system's memory before they are needed or made
    ready: less where the system would never give out so much."""

    def __init__(self, size: int) -> None:
        self._region, self._block = _reserve(size)
        self._free = bytearray(b"\1" * (len(self._region) // self._block))
        self._address = _address(memoryview(self._region))
        # So many blocks from the first on were given out; so many bytes of free ones should be.
        self._num_given = self.num_wanted = 0
        self._wakes = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def size(self) -> int:
        """Bytes that may be taken."""
        return len(self._free) * self._block

    def take(self, size: int) -> memoryview | None:
        """So many bytes, to be given back; None where no free ones lie together."""
        count = self._count(size)
        start = self._free.find(b"\1" * count)
        if start < 0:
            return None
        self._free[start : start + count] = bytes(count)
        return memoryview(self._region)[start * self._block :][:size]

    def give_back(self, state: memoryview) -> None:
        """Nobody needs `state` any more."""
        start, count = (_address(state) - self._address) // self._block, self._count(len(state))
        self._free[start : start + count] = b"\1" * count

    def make_ready(self, size: int) -> None:
        """Has so many bytes of what is free given out, as soon as a processor has time."""
        self.num_wanted = size
        if not self._wants_more:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._ask, daemon=True)
            self._thread.start()
        self._wakes.set()

    @property
    def num_ready(self) -> int:
        """Bytes that are free and given out."""
        return self._free.count(1, 0, self._num_given) * self._block

    def _count(self, size: int) -> int:
        """Blocks that so many bytes take, one at least."""
        return max(-(-size // self._block), 1)

    @property
    def _wants_more(self) -> bool:
        return self._num_given < len(self._free) and self.num_ready < self.num_wanted

    def _ask(self) -> None:
        wait_for_idleness()
        while self._wakes.wait():
            self._wakes.clear()
            while self._wants_more:
                block = self._address + self._num_given * self._block
                if not populate(block, block + self._block):
                    return  # a system that gives nothing out ahead
                self._num_given += 1


def _reserve(size: int) -> tuple[mmap.mmap, int]:
    """A region of whole blocks of about `size` bytes, and how large these are."""
    while True:
        pages = -(-size // _MOST_BLOCKS // mmap.PAGESIZE)
        block = max(pages * mmap.PAGESIZE, _SMALLEST_BLOCK)
        try:
            return mmap.mmap(-1, max(size // block, 1) * block), block
        except OSError:
            if size <= block:
                raise
            size //= 2


def _address(memory: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
