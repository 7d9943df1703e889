"""Models that come and go by themselves: on demand, by idleness, to make room for others."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import pytest
import pytest_asyncio

import fake_engine
from corral_server.config import BudgetConfig, Capability, ModelSpec
from corral_server.errors import (
    CapabilityNotSupported,
    InsufficientMemory,
    LoadConflict,
    ModelFileInvalid,
    ModelNotFound,
    NoDefaultModel,
)
from corral_server.models.engines import Engines
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.registry import ModelRegistry, RegistryObserver, ResolveReason
from fake_engine import QUICK, MakeSpec
from registry_calls import engine_of, finish, generate, hold, load
from watch import running_engines, settled

pytestmark = pytest.mark.asyncio

GB = 10**9


def make_registry(*, budget: int | None = None, min_residency_s: float = 0.0) -> ModelRegistry:
    return ModelRegistry(
        engines=Engines(fake_engine.COMMAND),
        timeouts=QUICK,
        budget=BudgetConfig(total_bytes=budget),
        min_residency_s=min_residency_s,
        patience_s=0.5,
    )


@pytest_asyncio.fixture
async def small() -> AsyncIterator[ModelRegistry]:
    """A registry with room for 10 GB."""
    registry = make_registry(budget=10 * GB)
    yield registry
    await registry.close()
    assert running_engines() == []


# On demand.


async def test_a_declared_model_is_listed_but_has_no_engine(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = registry.declare(make_spec())
    assert entry.state is ModelState.NOT_LOADED
    assert registry.entries() == [entry]
    assert running_engines() == []


async def test_the_first_call_loads_a_declared_model(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    registry.declare(make_spec())
    assert await generate(registry, "m")
    assert registry.resolve("m").state is ModelState.READY


async def test_a_call_that_a_declared_model_cannot_serve_does_not_load_it(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = registry.declare(make_spec())
    with pytest.raises(CapabilityNotSupported):
        async with registry.lease("m", Capability.EMBED):
            pass
    assert entry.state is ModelState.NOT_LOADED
    assert running_engines() == []


async def test_callers_of_a_model_on_demand_share_one_load(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    registry.declare(make_spec())
    answers = await asyncio.gather(*(generate(registry, "m") for _ in range(8)))
    assert all(answers)
    assert len(running_engines()) == 1


async def test_callers_who_wait_hear_why_the_load_failed(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    registry.declare(make_spec(at_probe="fail"))
    outcomes = await asyncio.gather(
        *(generate(registry, "m") for _ in range(3)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {ModelFileInvalid}


async def test_an_unloaded_model_on_demand_comes_back_with_the_next_call(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    registry.declare(make_spec())
    await generate(registry, "m")
    await registry.unload("m", drain_timeout_s=0)
    assert registry.resolve("m").state is ModelState.NOT_LOADED
    assert running_engines() == []
    assert await generate(registry, "m")


async def test_a_call_during_the_unload_of_a_model_on_demand_loads_it_again(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    registry.declare(make_spec())
    running = await _held(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=60))
    await settled(lambda: registry.resolve("m").state is ModelState.DRAINING)
    late = asyncio.create_task(generate(registry, "m"))
    await finish(engine_of(registry, "m"))
    await asyncio.gather(running, unload)
    assert await late


async def test_retracting_forgets_a_declared_model(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    registry.declare(make_spec())
    await generate(registry, "m")
    await registry.retract("m", drain_timeout_s=0)
    with pytest.raises(ModelNotFound):
        registry.resolve("m")
    assert running_engines() == []


async def _held(registry: ModelRegistry, id: str) -> asyncio.Task[None]:
    await generate(registry, id)
    return await hold(registry, id)


# Names.


async def test_an_alias_leads_to_its_model(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    entry = await load(registry, replace(make_spec(), aliases=("gpt", "other")))
    assert registry.explain("gpt") == (entry, ResolveReason.ALIAS)
    assert registry.explain("m") == (entry, ResolveReason.ID)


async def test_explain_says_when_it_is_the_default(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    with pytest.raises(NoDefaultModel):
        registry.explain("")
    entry = await load(registry, make_spec(), default=True)
    assert registry.explain("") == (entry, ResolveReason.DEFAULT)


@pytest.mark.parametrize(
    ("id", "aliases"), [("gpt", ()), ("b", ("m",)), ("b", ("gpt",))], ids=["id", "to id", "twice"]
)
async def test_a_name_leads_to_one_model_only(
    registry: ModelRegistry, make_spec: MakeSpec, id: str, aliases: tuple[str, ...]
) -> None:
    await load(registry, replace(make_spec(), aliases=("gpt",)))
    with pytest.raises(LoadConflict, match="leads to model 'm'"):
        await registry.load(replace(make_spec(id), aliases=aliases))


async def test_a_load_that_is_refused_for_its_names_leaves_what_was_there(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, replace(make_spec(), aliases=("gpt",)))
    declared = registry.declare(make_spec("d"), make_default=True)
    with pytest.raises(ModelFileInvalid):
        await load(registry, make_spec("f", at_probe="fail"))
    failed = registry.resolve("f")
    for id in "df":
        with pytest.raises(LoadConflict):
            await registry.load(replace(make_spec(id), aliases=("gpt",)))
    assert registry.entries() == [declared, failed, registry.resolve("m")]
    assert registry.resolve("") is declared


async def test_a_failed_model_may_be_loaded_again_under_the_same_names(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    with pytest.raises(ModelFileInvalid):
        await load(registry, replace(make_spec(at_probe="fail"), aliases=("gpt",)))
    entry = await load(registry, replace(make_spec(), aliases=("gpt",)))
    assert registry.resolve("gpt") is entry


# Idleness.


async def test_a_model_idle_for_its_keep_alive_is_unloaded(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, replace(make_spec(), keep_alive_s=0.05))
    async with asyncio.timeout(5):
        await entry.until(lambda: entry.state is ModelState.UNLOADED)
    assert running_engines() == []


async def test_a_model_in_use_is_not_idle(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    registry.declare(replace(make_spec("d"), keep_alive_s=0.0))
    running = await hold(registry, "d")
    busy = registry.resolve("d")
    assert busy.expires_at is None
    assert busy.state is ModelState.READY
    await finish(engine_of(registry, "d"))
    await running
    async with asyncio.timeout(5):
        await busy.until(lambda: busy.state is ModelState.UNLOADED)
    assert registry.resolve("d").state is ModelState.NOT_LOADED


# Room.


def big(make_spec: MakeSpec, id: str, gigabytes: int, **changes: object) -> ModelSpec:
    spec = make_spec(id, ram_bytes=gigabytes * GB)
    return replace(spec, **changes)  # type: ignore[arg-type]


async def test_a_load_over_budget_is_refused_and_says_by_how_much(
    small: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(small, big(make_spec, "a", 6))
    with pytest.raises(InsufficientMemory) as error:
        await load(small, big(make_spec, "b", 5))
    assert error.value.metadata == {
        "model": "b",
        "device": "total",
        "required": str(5 * GB),
        "available": str(4 * GB),
        "limit": str(10 * GB),
    }
    assert small.memory.used() == {"RAM": 6 * GB}
    assert len(running_engines()) == 1


async def test_what_was_measured_replaces_what_was_predicted(
    small: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(small, make_spec("a", ram_bytes=6 * GB, growth_bytes=5 * GB))
    assert small.memory.used() == {"RAM": 5 * GB}


async def test_unloading_gives_the_room_back(small: ModelRegistry, make_spec: MakeSpec) -> None:
    await load(small, big(make_spec, "a", 6))
    await small.unload("a", drain_timeout_s=0)
    assert small.memory.used() == {}
    await load(small, big(make_spec, "b", 10))


async def test_a_failed_load_takes_no_room(small: ModelRegistry, make_spec: MakeSpec) -> None:
    with pytest.raises(ModelFileInvalid):
        await load(small, make_spec("a", ram_bytes=6 * GB, at_load="fail"))
    assert small.memory.used() == {}


async def test_loads_at_the_same_time_do_not_share_room(
    small: ModelRegistry, make_spec: MakeSpec
) -> None:
    specs = [big(make_spec, id, 6) for id in "abc"]
    outcomes = await asyncio.gather(*(load(small, spec) for spec in specs), return_exceptions=True)
    assert sum(isinstance(outcome, InsufficientMemory) for outcome in outcomes) == 2
    assert small.memory.used() == {"RAM": 6 * GB}


async def test_nobody_is_evicted_unless_asked_for(
    small: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(small, big(make_spec, "a", 6))
    with pytest.raises(InsufficientMemory):
        await load(small, big(make_spec, "b", 6))
    assert small.resolve("a").state is ModelState.READY


async def test_the_least_recently_used_idle_model_goes_first(
    small: ModelRegistry, make_spec: MakeSpec
) -> None:
    for id in "abc":
        await load(small, big(make_spec, id, 3))
    await generate(small, "a")
    await load(small, big(make_spec, "d", 4, evicts=True))
    assert [entry.id for entry in small.entries()] == ["a", "c", "d"]


@pytest.mark.parametrize("why", ["busy", "pinned"])
async def test_a_busy_or_pinned_model_is_never_evicted(
    small: ModelRegistry, make_spec: MakeSpec, why: str
) -> None:
    await load(small, big(make_spec, "a", 6, pinned=why == "pinned"))
    running = await hold(small, "a") if why == "busy" else None
    with pytest.raises(InsufficientMemory):
        await load(small, big(make_spec, "b", 6, evicts=True))
    assert small.resolve("a").state is ModelState.READY
    if running is not None:
        await finish(engine_of(small, "a"))
        await running


async def test_nobody_goes_for_a_load_that_cannot_fit_anyway(
    small: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(small, big(make_spec, "a", 6))
    with pytest.raises(InsufficientMemory):
        await load(small, big(make_spec, "b", 11, evicts=True))
    assert small.resolve("a").state is ModelState.READY


async def test_a_load_waits_for_a_busy_model_to_become_idle(
    small: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(small, big(make_spec, "a", 6))
    running = await hold(small, "a")
    entry = await small.load(big(make_spec, "b", 6, evicts=True))
    await entry.until(lambda: entry.model_facts is not None)
    await finish(engine_of(small, "a"))
    await running
    async with asyncio.timeout(5):
        await entry.until(lambda: entry.state is ModelState.READY)
    assert [entry.id for entry in small.entries()] == ["b"]


class Departures(RegistryObserver):
    """When models went."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def changed(self, entry: ModelEntry) -> None:
        if entry.state is ModelState.UNLOADED:
            self.at.append(time.monotonic())


async def test_two_hot_models_with_room_for_one_do_not_play_ping_pong(
    make_spec: MakeSpec,
) -> None:
    registry = make_registry(budget=10 * GB, min_residency_s=0.3)
    for id in "ab":
        registry.declare(big(make_spec, id, 6, evicts=True))
    departures = Departures()
    registry.subscribe(departures)
    outcomes: list[type[Exception] | None] = []

    async def call_often(id: str) -> None:
        for _ in range(40):
            try:
                await generate(registry, id)
                outcomes.append(None)
            except InsufficientMemory as error:
                outcomes.append(type(error))

    async with asyncio.timeout(50):
        await asyncio.gather(*(call_often(id) for id in "aabb"))
    stays = [later - earlier for earlier, later in pairwise(departures.at)]
    await registry.close()
    assert len(outcomes) == 160
    assert None in outcomes
    assert all(stay >= 0.3 for stay in stays)
