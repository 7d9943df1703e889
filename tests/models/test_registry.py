"""The registry's rules, row by row, with fake engines behind it."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from corral_server.config import Capability, LoadOptions
from corral_server.errors import (
    CapabilityNotSupported,
    CorralError,
    EngineRestarting,
    LoadConflict,
    ModelFailed,
    ModelFileInvalid,
    ModelFileNotFound,
    ModelNotFound,
    ModelUnloaded,
    NoDefaultModel,
    ServerDraining,
)
from corral_server.ipc.messages import Failure, LoadStage
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.registry import ModelRegistry, RegistryObserver
from corral_server.request import Event, Finished
from fake_engine import QUICK, MakeSpec, Prompts
from registry_calls import engine_of, finish, generate, hold, load, loading_at
from watch import running_engines

pytestmark = pytest.mark.asyncio

_, LOADING, READY, RESTARTING, DRAINING, FAILED, UNLOADED = ModelState

HOUR = 3600.0


async def restarted(entry: ModelEntry) -> None:
    await entry.until(lambda: entry.state is READY and entry.restarts > 0)


# Loading.


async def test_two_loads_of_one_spec_share_one_engine(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    spec = make_spec()
    first, second = await asyncio.gather(load(registry, spec), load(registry, spec))
    assert first is second
    assert len(running_engines()) == 1


async def test_a_load_of_what_is_ready_answers_at_once(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    engine = entry.engine
    again = await registry.load(make_spec())
    assert [progress async for progress in again.watch_load()] == []
    assert again.engine is engine


@pytest.mark.parametrize(
    "other",
    [{"options": LoadOptions(slots=2)}, {"capabilities": frozenset({Capability.CHAT})}],
    ids=["options", "capabilities"],
)
async def test_another_spec_of_an_id_is_a_conflict(
    registry: ModelRegistry, make_spec: MakeSpec, other: dict[str, object]
) -> None:
    entry = await load(registry, make_spec())
    with pytest.raises(LoadConflict, match="'m'") as caught:
        await registry.load(replace(entry.spec, **other))  # type: ignore[arg-type]
    assert caught.value.metadata == {"model": "m"}
    assert entry.state is READY


async def test_another_spec_is_a_conflict_while_the_first_is_loading(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await registry.load(make_spec(at_load="stall"))
    with pytest.raises(LoadConflict):
        await registry.load(replace(make_spec(), options=LoadOptions(slots=2)))


async def test_a_conflict_does_not_change_the_default(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"), default=True)
    await load(registry, make_spec("b"))
    with pytest.raises(LoadConflict):
        await registry.load(
            replace(make_spec("b"), options=LoadOptions(slots=2)), make_default=True
        )
    assert registry.default_id == "a"


async def test_a_load_holds_up_no_other_model(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    stalled = await registry.load(make_spec("slow", progress=(0.5,), at_load="stall"))
    await loading_at(stalled, 0.5)
    async with asyncio.timeout(5):
        await load(registry, make_spec("fast"))
        assert isinstance((await generate(registry, "fast"))[-1], Finished)
        assert [entry.id for entry in registry.entries()] == ["fast", "slow"]
    assert stalled.state is LOADING


async def test_a_call_waits_for_the_load_of_its_model(
    registry: ModelRegistry, make_spec: MakeSpec, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    entry = await registry.load(make_spec(at_load="wait", gate=str(gate)))
    waiting = asyncio.create_task(generate(registry, "m"))
    await loading_at(entry, 1.0)
    assert not waiting.done()
    await asyncio.to_thread(gate.write_bytes, b"open")
    assert isinstance((await waiting)[-1], Finished)


async def test_a_call_that_leaves_while_it_waits_does_not_end_the_load(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await registry.load(make_spec(at_load="stall"))
    waiting = asyncio.create_task(generate(registry, "m"))
    await loading_at(entry, 1.0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (entry.state, entry.leases) == (LOADING, 0)


async def test_a_failed_load_tells_its_reason_and_stays_listed(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    failure = Failure.of(ModelFileInvalid("cut short", bytes=7))
    with pytest.raises(ModelFileInvalid, match="cut short") as caught:
        await load(registry, make_spec(at_probe="fail", failure=failure))
    (entry,) = registry.entries()
    assert (entry.state, entry.error) == (FAILED, caught.value)
    with pytest.raises(ModelFailed, match="cut short"):
        await generate(registry, "m")


async def test_all_who_wait_for_a_load_are_told_that_it_failed(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    spec = make_spec(at_load="fail")
    ends = await asyncio.gather(
        *(load(registry, spec) for _ in range(3)), generate_soon(registry), return_exceptions=True
    )
    assert [type(end) for end in ends] == [ModelFileInvalid] * 4


async def generate_soon(registry: ModelRegistry) -> list[Event]:
    await asyncio.sleep(0)
    return await generate(registry, "m")


async def test_a_failed_model_can_be_loaded_again(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    with pytest.raises(ModelFileInvalid):
        await load(registry, make_spec(at_load="fail"))
    entry = await load(registry, replace(make_spec(), options=LoadOptions(slots=2)))
    assert (entry.state, registry.entries()) == (READY, [entry])


async def test_a_failed_model_can_be_unloaded(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    with pytest.raises(ModelFileInvalid):
        await load(registry, make_spec(at_load="fail"))
    await registry.unload("m", drain_timeout_s=HOUR)
    assert registry.entries() == []


async def test_a_missing_file_is_a_failed_load(
    registry: ModelRegistry, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec()
    (tmp_path / "m.json").unlink()
    with pytest.raises(ModelFileNotFound, match=r"m\.json"):
        await load(registry, spec)


# Unloading.


async def test_unload_returns_when_the_process_is_gone(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    pid = engine_of(registry, "m").pid
    await registry.unload("m", drain_timeout_s=HOUR)
    assert not psutil.pid_exists(pid)
    assert (registry.entries(), entry.state) == ([], UNLOADED)


async def test_unload_of_an_unknown_id_says_what_is_there(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"))
    with pytest.raises(ModelNotFound) as caught:
        await registry.unload("b", drain_timeout_s=0)
    assert caught.value.metadata == {"model": "b", "candidates": "a"}


@pytest.mark.parametrize("point", ["at_probe", "at_load"])
async def test_unload_cancels_a_load_and_both_callers_are_told(
    registry: ModelRegistry, make_spec: MakeSpec, point: str
) -> None:
    loading = asyncio.create_task(load(registry, make_spec(**{point: "stall"})))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(generate(registry, "m"))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await registry.unload("m", drain_timeout_s=HOUR)
    ends = await asyncio.gather(loading, waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [ModelUnloaded] * 2
    assert (registry.entries(), running_engines()) == ([], [])


@pytest.mark.parametrize(
    "found",
    [
        lambda entry: True,
        lambda entry: entry.progress.stage is not LoadStage.PROBING,
        lambda entry: entry.progress.stage is LoadStage.WARMING,
        lambda entry: entry.state is READY,
    ],
    ids=["begun", "loading", "warming", "ready"],
)
async def test_a_load_that_was_unloaded_is_not_resurrected(
    registry: ModelRegistry, make_spec: MakeSpec, found: Callable[[ModelEntry], bool]
) -> None:
    entry = await registry.load(make_spec())
    await entry.until(lambda: found(entry))
    await registry.unload("m", drain_timeout_s=HOUR)
    assert (entry.state, registry.entries(), running_engines()) == (UNLOADED, [], [])


async def test_unload_of_a_busy_model_lets_calls_finish_and_takes_no_new_ones(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    engine = engine_of(registry, "m")
    held = await hold(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await entry.until(lambda: entry.state is DRAINING)
    with pytest.raises(ModelUnloaded):
        await generate(registry, "m")
    assert not held.done() and not unload.done()
    await finish(engine)
    await asyncio.gather(held, unload)
    assert registry.entries() == []


async def test_calls_left_after_the_drain_timeout_are_ended(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec())
    calls = [await hold(registry, "m") for _ in range(3)]
    async with asyncio.timeout(5):
        await registry.unload("m", drain_timeout_s=0.01)
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [ModelUnloaded] * 3


async def test_force_ends_calls_at_once(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    await load(registry, make_spec())
    held = await hold(registry, "m")
    async with asyncio.timeout(5):
        await registry.unload("m", drain_timeout_s=HOUR, force=True)
        with pytest.raises(ModelUnloaded):
            await held


async def test_a_second_unload_joins_the_first(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    engine = engine_of(registry, "m")
    held = await hold(registry, "m")
    unloads = [
        asyncio.create_task(registry.unload("m", drain_timeout_s=timeout_s))
        for timeout_s in (HOUR, 0.0)
    ]
    await entry.until(lambda: entry.state is DRAINING)
    await asyncio.sleep(0)
    assert not any(unload.done() for unload in unloads)
    await finish(engine)
    await asyncio.gather(held, *unloads)


async def test_a_second_unload_with_force_hurries_the_first(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    held = await hold(registry, "m")
    first = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await entry.until(lambda: entry.state is DRAINING)
    async with asyncio.timeout(5):
        await registry.unload("m", drain_timeout_s=HOUR, force=True)
        await first
    with pytest.raises(ModelUnloaded):
        await held


async def test_an_unload_goes_on_when_its_caller_leaves(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    engine = engine_of(registry, "m")
    held = await hold(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await entry.until(lambda: entry.state is DRAINING)
    unload.cancel()
    await asyncio.wait([unload])
    await finish(engine)
    await held
    await entry.until(lambda: entry.state is UNLOADED)
    assert running_engines() == []


async def test_a_load_during_a_drain_waits_and_then_loads(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    old = await load(registry, make_spec())
    engine = engine_of(registry, "m")
    held = await hold(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await old.until(lambda: old.state is DRAINING)
    spec = replace(make_spec(), options=LoadOptions(slots=2))
    loading = asyncio.create_task(load(registry, spec))
    await asyncio.sleep(0)
    assert registry.entries() == [old]
    await finish(engine)
    await asyncio.gather(held, unload)
    new = await loading
    assert (new.spec, new.state, old.state) == (spec, READY, UNLOADED)


async def test_an_engine_that_dies_while_draining_ends_the_unload(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    engine = engine_of(registry, "m")
    held = await hold(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await entry.until(lambda: entry.state is DRAINING)
    os.kill(engine.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        await unload
    with pytest.raises(ModelUnloaded):
        await held
    assert entry.restarts == 0


# The default model.


async def test_a_call_that_names_no_model_goes_to_the_default(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"))
    await load(registry, make_spec("b"), default=True)
    async with registry.lease("") as lease:
        assert lease.model_id == "b"


async def test_the_first_model_does_not_become_the_default_by_itself(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"))
    with pytest.raises(NoDefaultModel, match="a"):
        registry.resolve("")


async def test_the_default_can_be_changed_to_one_that_is_ready_or_loading(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"))
    await registry.load(make_spec("b", at_load="stall"))
    assert registry.set_default("a").id == registry.default_id == "a"
    assert registry.set_default("b").id == registry.default_id == "b"


async def test_a_failed_model_cannot_become_the_default(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"), default=True)
    with pytest.raises(ModelFileInvalid):
        await load(registry, make_spec("b", at_load="fail"))
    with pytest.raises(ModelFailed):
        registry.set_default("b")
    assert registry.default_id == "a"


async def test_a_draining_model_cannot_become_the_default(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    await hold(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await entry.until(lambda: entry.state is DRAINING)
    with pytest.raises(ModelUnloaded):
        registry.set_default("m")
    await registry.unload("m", drain_timeout_s=0, force=True)
    await unload


async def test_an_unknown_model_cannot_become_the_default(registry: ModelRegistry) -> None:
    with pytest.raises(ModelNotFound):
        registry.set_default("m")


async def test_unloading_the_default_promotes_nobody(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"))
    await load(registry, make_spec("b"), default=True)
    await registry.unload("b", drain_timeout_s=0)
    assert registry.default_id is None
    with pytest.raises(NoDefaultModel):
        await generate(registry, "")


async def test_unloading_another_keeps_the_default(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"), default=True)
    await load(registry, make_spec("b"))
    await registry.unload("b", drain_timeout_s=0)
    assert registry.default_id == "a"


async def test_a_load_that_fails_gives_the_default_back(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("a"), default=True)
    with pytest.raises(ModelFileInvalid):
        await load(registry, make_spec("b", at_load="fail"), default=True)
    assert registry.default_id == "a"


async def test_a_load_that_fails_gives_back_a_default_that_was_set_while_it_ran(
    registry: ModelRegistry, make_spec: MakeSpec, tmp_path: Path
) -> None:
    await load(registry, make_spec("a"), default=True)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    entry = await registry.load(make_spec("b", at_probe="wait", gate=str(gate), at_load="fail"))
    registry.set_default("b")
    await asyncio.to_thread(gate.write_bytes, b"open")
    await entry.until(lambda: entry.state is FAILED)
    assert registry.default_id == "a"


async def test_the_default_never_goes_back_to_a_model_that_failed(
    registry: ModelRegistry, make_spec: MakeSpec, tmp_path: Path
) -> None:
    await load(registry, make_spec("a"), default=True)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = await registry.load(make_spec("b", at_load="fail"), make_default=True)
    second = make_spec("c", at_probe="wait", gate=str(gate), at_load="fail")
    last = await registry.load(second, make_default=True)
    await first.until(lambda: first.state is FAILED)
    await asyncio.to_thread(gate.write_bytes, b"open")
    await last.until(lambda: last.state is FAILED)
    assert registry.default_id == "a"


async def test_a_default_that_dies_for_good_stays_the_default(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    """It has been where calls go; sending them elsewhere in silence would be worse."""
    entry = await load(registry, make_spec(), default=True)
    await die_for_good(entry)
    with pytest.raises(ModelFailed):
        await generate(registry, "")


# What a model can do.


async def test_a_missing_capability_is_named(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    spec = replace(make_spec(), capabilities=frozenset({Capability.CHAT}))
    await load(registry, spec)
    async with registry.lease("m", Capability.CHAT):
        pass
    with pytest.raises(CapabilityNotSupported) as caught:
        async with registry.lease("m", Capability.GENERATE):
            pass
    assert caught.value.metadata == {"model": "m", "capability": "GENERATE"}


async def test_a_lease_is_counted_while_it_is_held(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    with suppress(RuntimeError):
        async with registry.lease("m"):
            assert (entry.leases, entry.is_idle) == (1, False)
            raise RuntimeError
    assert (entry.leases, entry.is_idle) == (0, True)


# When an engine dies.


async def test_its_calls_are_told_within_a_second_and_it_comes_back(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    calls = [await hold(registry, "m") for _ in range(3)]
    os.kill(engine_of(registry, "m").pid, signal.SIGKILL)
    async with asyncio.timeout(1):
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [EngineRestarting] * 3
    assert all(isinstance(end, CorralError) and end.retry_after_s == 0.5 for end in ends)
    await restarted(entry)
    assert isinstance((await generate(registry, "m"))[-1], Finished)
    assert entry.leases == 0


async def test_another_model_notices_nothing(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    mortal = await load(registry, make_spec("a"))
    other = await load(registry, make_spec("b"))
    held = await hold(registry, "b")
    os.kill(engine_of(registry, "a").pid, signal.SIGKILL)
    await restarted(mortal)
    assert (other.state, held.done()) == (READY, False)
    await finish(engine_of(registry, "b"))
    await held


async def test_who_is_told_of_a_death_finds_the_model_restarting(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    with pytest.raises(EngineRestarting):
        await generate(registry, "m", Prompts.DIE)
    assert (entry.state, entry.restarts) == (RESTARTING, 1)


async def test_calls_of_the_last_life_are_told_that_there_is_no_other(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    for _ in range(QUICK.deaths - 1):
        with pytest.raises(EngineRestarting):
            await generate(registry, "m", Prompts.DIE)
        await entry.until(lambda: entry.state is READY)
    with pytest.raises(ModelFailed):
        await generate(registry, "m", Prompts.DIE)
    assert entry.state is FAILED


async def test_calls_during_a_restart_are_told_when_to_come_back(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    make_spec(at_load="stall")
    os.kill(engine_of(registry, "m").pid, signal.SIGKILL)
    await entry.until(lambda: entry.state is RESTARTING)
    with pytest.raises(EngineRestarting) as caught:
        await generate(registry, "m")
    assert caught.value.retry_after_s == 0.5


async def test_a_load_of_a_restarting_model_waits_for_it(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    os.kill(engine_of(registry, "m").pid, signal.SIGKILL)
    await entry.until(lambda: entry.state is RESTARTING)
    assert await load(registry, make_spec()) is entry
    assert entry.state is READY


async def test_unload_during_a_restart_ends_it(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    make_spec(at_load="stall")
    os.kill(engine_of(registry, "m").pid, signal.SIGKILL)
    await entry.until(lambda: entry.state is RESTARTING)
    async with asyncio.timeout(5):
        await registry.unload("m", drain_timeout_s=HOUR)
    assert (registry.entries(), running_engines()) == ([], [])


async def test_a_model_that_died_too_often_can_be_loaded_again(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await die_for_good(await load(registry, make_spec()))
    with pytest.raises(ModelFailed, match="died 3 times"):
        await generate(registry, "m")
    assert (await load(registry, make_spec())).state is READY


async def die_for_good(entry: ModelEntry) -> None:
    while entry.state is not FAILED:
        await entry.until(lambda: entry.state in (READY, FAILED))
        if entry.engine is not None:
            os.kill(entry.engine.pid, signal.SIGKILL)
            await entry.until(lambda: entry.state is not READY)


# The end, and those who watch.


async def test_close_leaves_no_process_and_loads_nothing_more(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    await load(registry, make_spec("ready"))
    await registry.load(make_spec("loading", at_load="stall"))
    with pytest.raises(ModelFileInvalid):
        await load(registry, make_spec("failed", at_load="fail"))
    held = await hold(registry, "ready")
    async with asyncio.timeout(5):
        await registry.close()
    assert (registry.entries(), running_engines()) == ([], [])
    with pytest.raises(ModelUnloaded):
        await held
    with pytest.raises(ServerDraining):
        await registry.load(make_spec("ready"))


async def test_close_at_any_moment_of_an_unload_waits_for_all(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    for id in "ab":
        await load(registry, make_spec(id))
    unload = asyncio.create_task(registry.unload("a", drain_timeout_s=0))
    closes: list[asyncio.Task[None]] = []
    while not unload.done():
        closes.append(asyncio.create_task(registry.close()))
        await asyncio.sleep(0)
    await asyncio.gather(*closes)
    assert (registry.entries(), running_engines()) == ([], [])


async def test_close_hurries_a_drain(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    entry = await load(registry, make_spec())
    held = await hold(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await entry.until(lambda: entry.state is DRAINING)
    async with asyncio.timeout(5):
        await registry.close()
        await unload
    with pytest.raises(ModelUnloaded):
        await held


async def test_a_load_that_waited_for_a_drain_is_refused_after_close(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    entry = await load(registry, make_spec())
    held = await hold(registry, "m")
    unload = asyncio.create_task(registry.unload("m", drain_timeout_s=HOUR))
    await entry.until(lambda: entry.state is DRAINING)
    again = asyncio.create_task(load(registry, make_spec()))
    await asyncio.sleep(0)
    await registry.close()
    ends = await asyncio.gather(again, unload, held, return_exceptions=True)
    assert [type(end) for end in ends] == [ServerDraining, type(None), ModelUnloaded]


class States(RegistryObserver):
    """The states models went through."""

    def __init__(self) -> None:
        self.seen: list[ModelState] = []

    def changed(self, entry: ModelEntry) -> None:
        self.seen.append(entry.state)


async def test_an_observer_sees_every_transition_in_order(
    registry: ModelRegistry, make_spec: MakeSpec
) -> None:
    observer = States()
    registry.subscribe(observer)
    entry = await load(registry, make_spec())
    os.kill(engine_of(registry, "m").pid, signal.SIGKILL)
    await restarted(entry)
    await registry.unload("m", drain_timeout_s=0)
    assert observer.seen == [LOADING, READY, RESTARTING, READY, DRAINING, UNLOADED]


async def test_an_observer_sees_a_failed_load(registry: ModelRegistry, make_spec: MakeSpec) -> None:
    observer = States()
    registry.subscribe(observer)
    with pytest.raises(ModelFileInvalid):
        await load(registry, make_spec(at_load="fail"))
    assert observer.seen == [LOADING, FAILED]


# All of it at once.

DECLARED = (ModelNotFound, ModelUnloaded, LoadConflict, EngineRestarting, ModelFailed)


@pytest.mark.parametrize("seed", range(4))
async def test_a_storm_of_calls_ends_in_declared_errors_and_the_state_last_acknowledged(
    registry: ModelRegistry, make_spec: MakeSpec, seed: int
) -> None:
    dice = random.Random(seed)
    specs = {id: make_spec(id) for id in "ab"}

    async def act(id: str, what: str) -> None:
        match what:
            case "load":
                await load(registry, specs[id])
            case "conflict":
                await load(registry, replace(specs[id], options=LoadOptions(slots=2)))
            case "unload":
                await registry.unload(id, drain_timeout_s=dice.choice([0.0, 0.01]))
            case "force":
                await registry.unload(id, drain_timeout_s=HOUR, force=True)
            case "generate":
                await generate(registry, id)
            case "leave":
                async with asyncio.timeout(dice.choice([0, 0.005])):
                    await generate(registry, id, Prompts.HOLD)
            case "kill":
                if (entry := registry.resolve(id)).engine is not None:
                    with suppress(ProcessLookupError):
                        os.kill(entry.engine.pid, signal.SIGKILL)

    async def caller() -> None:
        odds = {"load": 6, "conflict": 1, "unload": 1, "force": 1, "generate": 12, "leave": 8}
        for _ in range(30):
            what, *_ = dice.choices([*odds, "kill"], [*odds.values(), 1])
            with suppress(*DECLARED, TimeoutError):
                await act(dice.choice("ab"), what)

    async with asyncio.timeout(30):
        await asyncio.gather(*(caller() for _ in range(8)))
        for id in "ab":
            with suppress(ModelNotFound):
                await registry.unload(id, drain_timeout_s=HOUR)
        assert (registry.entries(), running_engines()) == ([], [])
        assert (await load(registry, specs["a"])).state is READY
    assert [entry.id for entry in registry.entries()] == ["a"]
    assert len(running_engines()) == 1
    assert registry.resolve("a").leases == 0
