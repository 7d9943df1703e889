"""What an engine asks of the operating system that Python's own library does not offer."""

import ctypes
import mmap
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_MADV_DONTNEED = 4
_MADV_POPULATE_WRITE = 23  # Linux 5.14
_M_MMAP_THRESHOLD = -3
_GIVING_WAY = 15  # of 19; a load still goes on where every core is busy
_LARGE_BUFFER = 1024 * 1024
_MAPS = Path("/proc/self/maps")
_SIZES = Path("/proc/self/statm")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+) *(.*)")

Range = tuple[int, int]


def die_with_parent() -> None:
    """Asks Linux to kill this process when the one that started it dies, however it dies.

    Elsewhere the end of the channel does it, one step later.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def give_way() -> None:
    """Lets other threads of this machine go before this one, and those it starts."""
    if sys.platform == "linux":  # where a priority is a thread's, not a process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVING_WAY)


def wait_for_idleness() -> None:
    """Has this thread run only where a processor has nothing else to do, if the system can."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))


def resident_bytes() -> int:
    """The memory of this process that is in RAM."""
    if sys.platform == "linux":
        _, pages, *_ = _SIZES.read_text().split()
        return int(pages) * mmap.PAGESIZE
    import psutil  # 10 ms of an engine's start, which Linux does without

    return int(psutil.Process().memory_info().rss)


def give_back_memory() -> None:
    """Returns what was freed to the system, where the allocator would keep it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def keep_buffers_apart() -> None:
    """Gives every large buffer memory of its own, which goes back to the system with the buffer.

    glibc stops doing that for sizes it has seen freed, such as those of a dry run.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BUFFER)


def writable_memory() -> list[Range]:
    """The parts of the address space that hold data of this process; see `touch_new`."""
    return _ranges("rw-p", files=("", "[heap]")) if sys.platform == "linux" else []


def touch_new(before: Sequence[Range]) -> None:
    """Makes what is allocated but was not `before` resident, as if it had been used.

    Later the kernel might have none left. Where it cannot be done, the memory comes when it is
    used.
    """
    for start, end in _without(writable_memory(), before):
        populate(start, end)


def populate(start: int, end: int) -> bool:
    """Makes memory resident as if it had been written to, but leaves what is in it. False where
    the system does not do that."""
    return sys.platform == "linux" and _advise(start, end, _MADV_POPULATE_WRITE)


def release_pages(files: Sequence[Path]) -> None:
    """Drops the pages of mapped files that were read once; one that is used again comes back."""
    if sys.platform == "linux":
        for start, end in _ranges("r", files=[str(file.resolve()) for file in files]):
            _advise(start, end, _MADV_DONTNEED)


def _ranges(mode: str, *, files: Sequence[str]) -> list[Range]:
    """This process's mappings of `files` whose access begins with `mode`, in order."""
    found = map(_MAPPING.fullmatch, _MAPS.read_text(errors="replace").splitlines())
    return [
        (int(line[1], 16), int(line[2], 16))
        for line in found
        if line is not None and line[3].startswith(mode) and line[5] in files
    ]


def _without(ranges: Sequence[Range], known: Sequence[Range]) -> Iterator[Range]:
    """The parts of `ranges` outside `known`."""
    for start, end in ranges:
        for known_start, known_end in known:
            if known_end <= start or known_start >= end:
                continue
            if start < known_start:
                yield start, known_start
            start = max(start, known_end)
        if start < end:
            yield start, end


def _advise(start: int, end: int, advice: int) -> bool:
    length = ctypes.c_size_t(end - start)
    return bool(ctypes.CDLL(None).madvise(ctypes.c_void_p(start), length, advice) == 0)
