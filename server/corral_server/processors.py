"""The processors this process may use."""

import os
import sys


def usable_processors() -> int:
    """How many; those of the whole machine where a process cannot be bound to some."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
