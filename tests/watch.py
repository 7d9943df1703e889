"""What tests look at from outside: this process's children, its open files, and its loop."""

import asyncio
import os
from collections.abc import Callable

import psutil

import fake_engine


def running_engines() -> list[int]:
    """The fake engines this process has started and not ended."""
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if _is_fake(child)]


def _is_fake(process: psutil.Process) -> bool:
    try:
        return fake_engine.__file__ in process.cmdline()
    except psutil.Error:
        return False


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def settled(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Lets the loop run until `condition` holds, where nobody tells that it does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        assert loop.time() < deadline, "it does not settle"
        await asyncio.sleep(0)
