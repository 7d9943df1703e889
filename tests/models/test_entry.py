"""One model's states: which may follow which, and what each means for those who want the model."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

import fake_engine
from corral_server.config import DemoSource, ModelSpec
from corral_server.errors import (
    CorralError,
    EngineRestarting,
    ModelFailed,
    ModelFileInvalid,
    ModelUnloaded,
)
from corral_server.ipc.messages import (
    DeviceFootprint,
    EngineFacts,
    Loading,
    LoadStage,
    ModelFacts,
)
from corral_server.models.engine_client import EngineClient
from corral_server.models.engine_process import EngineProcess
from corral_server.models.entry import ModelEntry, ModelState

NOT_LOADED, LOADING, READY, RESTARTING, DRAINING, FAILED, UNLOADED = ModelState

SPEC = ModelSpec(id="m", source=DemoSource())
GB = 10**9
FACTS = ModelFacts(
    architecture="fake",
    name="",
    parameter_count=0,
    quantization="",
    file_bytes=0,
    vocab_size=0,
    embedding_size=0,
    trained_context=0,
    has_chat_template=False,
)
FACTS_OF_ENGINE = EngineFacts(
    context_size=800, sequence_limit=100, slots=8, memory_bytes=0, growth_bytes=7 * GB
)

# As the registry's rules have it, written down a second time on purpose.
ALLOWED = {
    (NOT_LOADED, LOADING),
    (NOT_LOADED, UNLOADED),
    (LOADING, READY),
    (LOADING, FAILED),
    (LOADING, DRAINING),
    (READY, RESTARTING),
    (READY, FAILED),
    (READY, DRAINING),
    (RESTARTING, READY),
    (RESTARTING, FAILED),
    (RESTARTING, DRAINING),
    (DRAINING, UNLOADED),
    (FAILED, DRAINING),
    (FAILED, UNLOADED),
}


def make_entry(
    state: ModelState = LOADING, on_change: Callable[[ModelEntry], None] = lambda _: None
) -> ModelEntry:
    return ModelEntry(SPEC, on_change, state=state)


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[EngineClient]:
    """A process that has been told nothing."""
    async with EngineClient.launch(EngineProcess.start(fake_engine.COMMAND)) as engine:
        yield engine


@pytest.mark.parametrize(("before", "after"), sorted(ALLOWED, key=str))
def test_a_state_leads_to_its_successors(before: ModelState, after: ModelState) -> None:
    entry = make_entry(before)
    entry.become(after)
    assert entry.state is after


@pytest.mark.parametrize("before", ModelState)
@pytest.mark.parametrize("after", ModelState)
def test_a_state_leads_nowhere_else(before: ModelState, after: ModelState) -> None:
    entry = make_entry(before)
    if (before, after) not in ALLOWED:
        with pytest.raises(AssertionError):
            entry.become(after)
        assert entry.state is before


def test_a_change_is_told_after_it_happened() -> None:
    told: list[ModelState] = []
    entry = make_entry(on_change=lambda entry: told.append(entry.state))
    entry.become(READY)
    assert told == [READY]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (RESTARTING, EngineRestarting),
        (FAILED, ModelFailed),
        (DRAINING, ModelUnloaded),
        (UNLOADED, ModelUnloaded),
    ],
)
def test_there_is_no_lease_on_what_is_not_ready(
    state: ModelState, error: type[CorralError]
) -> None:
    entry = make_entry(state)
    with pytest.raises(error, match="'m'"):
        entry.acquire()
    assert (entry.leases, entry.last_used_at) == (0, None)


def test_a_failed_model_says_why() -> None:
    entry = make_entry()
    entry.fail(ModelFileInvalid("it is cut short"))
    with pytest.raises(ModelFailed, match="it is cut short"):
        entry.acquire()


def test_who_meets_a_restart_is_told_when_to_come_back() -> None:
    entry = make_entry(READY)
    entry.restart(8.0)
    assert entry.restarting().retry_after_s == 8.0


def test_every_restart_counts() -> None:
    entry = make_entry(READY)
    entry.restart(0.5)
    entry.restart(1.0)
    assert (entry.restarts, entry.state) == (2, RESTARTING)


@pytest.mark.asyncio
async def test_progress_is_told_until_the_model_has_failed() -> None:
    entry = make_entry()
    watch = entry.watch_load()
    seen = [await anext(watch)]
    entry.advance(Loading(LoadStage.LOADING, 0.5))
    seen.append(await anext(watch))
    entry.fail(ModelFileInvalid("bad"))
    with pytest.raises(ModelFileInvalid):
        await anext(watch)
    assert seen == [Loading(LoadStage.PROBING, 0.0), Loading(LoadStage.LOADING, 0.5)]


@pytest.mark.asyncio
async def test_a_slow_watcher_skips_to_the_latest_progress() -> None:
    entry = make_entry()
    watch = entry.watch_load()
    await anext(watch)
    entry.advance(Loading(LoadStage.LOADING, 0.1))
    entry.advance(Loading(LoadStage.LOADING, 0.9))
    assert await anext(watch) == Loading(LoadStage.LOADING, 0.9)


@pytest.mark.asyncio
async def test_all_who_watch_are_told() -> None:
    entry = make_entry()
    watches = [entry.watch_load() for _ in range(3)]
    for watch in watches:
        await anext(watch)
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    await asyncio.sleep(0)
    entry.become(DRAINING)
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [ModelUnloaded] * 3


@pytest.mark.asyncio
async def test_who_waits_is_told_what_the_file_holds() -> None:
    entry = make_entry()
    waiting = asyncio.create_task(entry.until(lambda: entry.model_facts is not None))
    await asyncio.sleep(0)
    entry.describe(FACTS)
    async with asyncio.timeout(5):
        await waiting


@pytest.mark.asyncio
async def test_a_caller_that_leaves_while_it_waits_leaves_the_model_idle() -> None:
    """The registry must hear of it: nobody else would ever unload the model for its idleness."""
    told: list[bool] = []
    entry = ModelEntry(
        SPEC, lambda _: None, on_idle=lambda entry: told.append(entry.is_idle), state=LOADING
    )
    waiting = asyncio.create_task(entry.loaded())
    await asyncio.sleep(0)
    assert not entry.is_idle
    waiting.cancel()
    await asyncio.wait([waiting])
    assert told == [True]


@pytest.mark.asyncio
async def test_a_model_is_drained_when_the_last_who_waited_has_left() -> None:
    entry = make_entry()
    waiting = asyncio.create_task(entry.loaded())
    await asyncio.sleep(0)
    entry.become(DRAINING)
    drained = asyncio.create_task(entry.drained())
    async with asyncio.timeout(5):
        await asyncio.gather(waiting, drained)


# Its share of the memory.


def parts(gigabytes: int, device: str = "RAM") -> DeviceFootprint:
    return DeviceFootprint(
        device=device, weights_bytes=gigabytes * GB, cache_bytes=0, compute_bytes=0
    )


@pytest.mark.parametrize("state", [LOADING, RESTARTING])
def test_what_was_predicted_is_set_aside_while_there_is_no_engine(state: ModelState) -> None:
    entry = make_entry(state)
    entry.footprint = (parts(6), parts(3, "CUDA0"))
    entry.engine_facts = FACTS_OF_ENGINE
    assert entry.reserved == {"RAM": 6 * GB, "CUDA0": 3 * GB}


@pytest.mark.parametrize("state", [READY, DRAINING])
def test_what_the_engine_takes_is_set_aside_as_long_as_it_runs(
    state: ModelState, engine: EngineClient
) -> None:
    entry = make_entry()
    entry.footprint = (parts(6), parts(3, "CUDA0"))
    entry.serve_by(engine, FACTS_OF_ENGINE)
    if state is not READY:
        entry.become(state)
    assert entry.reserved == {"RAM": 7 * GB, "CUDA0": 3 * GB}


def test_a_model_that_failed_takes_nothing() -> None:
    entry = make_entry()
    entry.footprint = (parts(6),)
    entry.fail(ModelFileInvalid("bad"))
    assert entry.reserved == {}


@pytest.mark.asyncio
async def test_a_slow_watcher_skips_no_stage() -> None:
    entry = make_entry()
    watch = entry.watch_load()
    assert (await anext(watch)).stage is LoadStage.PROBING
    for fraction in (0.1, 0.5, 0.9):
        entry.advance(Loading(LoadStage.LOADING, fraction))
    entry.advance(Loading(LoadStage.WARMING, 0.0))
    told = [await anext(watch) for _ in range(2)]
    assert told == [Loading(LoadStage.LOADING, 0.1), Loading(LoadStage.WARMING, 0.0)]
