"""Threads that compute spin briefly where there are more of them than processors."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from corral_server.llama.spin import Spin
from corral_server.processors import usable_processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")


def threads_become(count: int) -> bool:
    """Whether this process comes to have so many, soon."""
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/task")) != count:
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.001)
    return True


def test_there_are_more_threads_than_processors_while_it_is_brief_and_none_are_left() -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    spin = Spin()
    for _ in range(3):
        spin.be_brief(True)
        spin.be_brief(True)
        assert threads_become(before + usable_processors() + 1)
        spin.be_brief(False)
        spin.be_brief(False)
        assert threads_become(before)
