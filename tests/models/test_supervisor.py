"""What becomes of a model whose engines die."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from corral_server.config import EngineTimeouts, ModelSpec
from corral_server.errors import EngineRestarting, InternalError, ModelFailed, ModelFileInvalid
from corral_server.models.engines import Engines
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.registry import ModelRegistry
from corral_server.models.supervisor import Stable, supervise
from corral_server.request import GenerationRequest, TextPrompt
from fake_engine import COMMAND, MakeSpec, Prompts
from watch import running_engines

pytestmark = pytest.mark.asyncio

TIMEOUTS = EngineTimeouts(stall_s=30.0, backoff_s=0.001, backoff_max_s=0.004, deaths=3)

LOADING, READY, FAILED = ModelState.LOADING, ModelState.READY, ModelState.FAILED


def make_stable(timeouts: EngineTimeouts, command: tuple[str, ...] = COMMAND) -> Stable:
    """What engines share, without a limit on their memory."""
    return ModelRegistry(engines=Engines(command), timeouts=timeouts).stable


@asynccontextmanager
async def supervised(
    spec: ModelSpec, timeouts: EngineTimeouts = TIMEOUTS
) -> AsyncIterator[ModelEntry]:
    entry = ModelEntry(spec, lambda _: None, state=LOADING)
    task = asyncio.create_task(supervise(entry, make_stable(timeouts)))
    try:
        yield entry
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert running_engines() == []


async def until(entry: ModelEntry, state: ModelState) -> None:
    await entry.until(lambda: entry.state is state)


async def kill(entry: ModelEntry) -> None:
    """Returns when its supervisor has seen it."""
    assert entry.engine is not None
    os.kill(entry.engine.pid, signal.SIGKILL)
    await entry.until(lambda: entry.state is not READY)


async def test_a_model_becomes_ready(make_spec: MakeSpec) -> None:
    async with supervised(make_spec()) as entry:
        await until(entry, READY)
        assert entry.model_facts is not None and entry.model_facts.architecture == "fake"
        assert entry.engine_facts is not None and entry.engine_facts.slots == 8


async def test_a_first_load_that_fails_is_not_tried_again(make_spec: MakeSpec) -> None:
    async with supervised(make_spec(at_load="fail")) as entry:
        await until(entry, FAILED)
        assert isinstance(entry.error, ModelFileInvalid)
        assert entry.restarts == 0


@pytest.mark.parametrize("point", ["at_probe", "at_load"])
async def test_an_engine_that_dies_in_its_first_load_is_not_tried_again(
    make_spec: MakeSpec, point: str
) -> None:
    async with supervised(make_spec(**{point: "abort"})) as entry:
        await until(entry, FAILED)
        assert entry.restarts == 0


async def test_an_engine_that_dies_comes_back(make_spec: MakeSpec) -> None:
    async with supervised(make_spec()) as entry:
        await until(entry, READY)
        first = entry.engine
        await kill(entry)
        await until(entry, READY)
        assert entry.engine is not None and entry.engine is not first
        assert entry.restarts == 1


async def test_after_too_many_deaths_it_stays_down(make_spec: MakeSpec) -> None:
    async with supervised(make_spec()) as entry:
        for _ in range(TIMEOUTS.deaths):
            await until(entry, READY)
            await kill(entry)
        await until(entry, FAILED)
        assert isinstance(entry.error, ModelFailed)
        assert "died 3 times within 60 s" in str(entry.error)
        assert entry.engine is None


async def test_deaths_that_lie_far_apart_are_no_reason_to_give_up(make_spec: MakeSpec) -> None:
    async with supervised(make_spec(), replace(TIMEOUTS, deaths_within_s=0.0)) as entry:
        for _ in range(5):
            await until(entry, READY)
            await kill(entry)
        await until(entry, READY)
        assert entry.restarts == 5


async def test_a_restart_that_fails_counts_as_a_death(make_spec: MakeSpec) -> None:
    spec = make_spec()
    async with supervised(spec) as entry:
        await until(entry, READY)
        make_spec(at_load="kill")
        await kill(entry)
        await until(entry, FAILED)
        assert entry.restarts == TIMEOUTS.deaths - 1


async def test_pauses_double_up_to_the_maximum(make_spec: MakeSpec) -> None:
    pauses: list[float] = []
    timeouts = replace(TIMEOUTS, deaths=6)
    async with supervised(make_spec(), timeouts) as entry:
        for _ in range(5):
            await until(entry, READY)
            await kill(entry)
            await entry.until(lambda: entry.state is ModelState.RESTARTING)
            pauses.append(entry.retry_after_s)
    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.004]


async def test_a_model_that_lived_long_pauses_briefly_again(make_spec: MakeSpec) -> None:
    async with supervised(make_spec(), replace(TIMEOUTS, deaths_within_s=0.0)) as entry:
        for _ in range(3):
            await until(entry, READY)
            await kill(entry)
            assert entry.retry_after_s == TIMEOUTS.backoff_s


async def test_calls_end_when_the_engine_speaks_nonsense_and_it_is_started_again(
    make_spec: MakeSpec,
) -> None:
    async with supervised(make_spec()) as entry, asyncio.timeout(10):
        await until(entry, READY)
        assert entry.engine is not None
        request = GenerationRequest(prompt=TextPrompt(text=Prompts.SEVER))
        with pytest.raises(EngineRestarting):
            async for _ in entry.engine.generate(request):
                pass
        await entry.until(lambda: entry.restarts == 1 and entry.state is READY)


async def test_an_engine_that_cannot_be_started_fails_the_model(
    make_spec: MakeSpec, caplog: pytest.LogCaptureFixture
) -> None:
    entry = ModelEntry(make_spec(), lambda _: None, state=LOADING)
    async with asyncio.timeout(10):
        await supervise(entry, make_stable(TIMEOUTS, ("/none/such/command",)))
    assert entry.state is FAILED
    assert isinstance(entry.error, InternalError)
    assert "/none/such/command" in caplog.text


async def test_a_death_is_logged_with_its_cause(
    make_spec: MakeSpec, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised(make_spec()) as entry:
        await until(entry, READY)
        await kill(entry)
        await entry.until(lambda: entry.restarts == 1 and entry.state is READY)
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.getMessage() == "the engine of model m died: killed by SIGKILL"
