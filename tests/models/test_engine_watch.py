"""What is seen of an engine's process from outside, and that it is gone in the end."""

import asyncio

import pytest

from corral_server.models.engine_process import EngineProcess
from corral_server.models.engine_watch import EngineWatch
from fake_engine import COMMAND
from watch import running_engines

pytestmark = pytest.mark.asyncio


async def test_who_gives_up_waiting_for_the_end_takes_it_from_nobody() -> None:
    process = EngineProcess.start(COMMAND)
    watch = EngineWatch(process)
    first = asyncio.create_task(watch.end())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    await watch.end()
    assert running_engines() == []
    assert await watch.obituary() == "killed by SIGKILL"
    process.socket.close()
