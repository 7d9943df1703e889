"""Who gets memory, who waits for it, and who goes: entries without engines, a clock nobody waits
for."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from corral_server.config import BudgetConfig, DemoSource, ModelSpec
from corral_server.errors import InsufficientMemory
from corral_server.ipc.messages import Device, DeviceFootprint
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.machine import read_memory
from corral_server.models.memory import Memory

pytestmark = pytest.mark.asyncio

GB = 10**9
HOUR = 3600.0
LOADING, READY = ModelState.LOADING, ModelState.READY
NO_LIMIT = BudgetConfig()
TEN = BudgetConfig(total_bytes=10 * GB)


def gpu(number: int, *, free: int) -> Device:
    return Device(
        name=f"CUDA{number}", description="a GPU", total_bytes=80 * GB, free_bytes=free * GB
    )


def parts(**gigabytes: int) -> tuple[DeviceFootprint, ...]:
    return tuple(
        DeviceFootprint(device=device, weights_bytes=size * GB, cache_bytes=0, compute_bytes=0)
        for device, size in gigabytes.items()
    )


class House:
    """Models, and the memory they share."""

    def __init__(
        self, budget: BudgetConfig = TEN, *, min_residency_s: float = 0.0, patience_s: float = HOUR
    ) -> None:
        self.entries: list[ModelEntry] = []
        self.evicted: list[str] = []
        self.memory = Memory(
            budget,
            entries=lambda: self.entries,
            evict=self._evict,
            min_residency_s=min_residency_s,
            patience_s=patience_s,
        )

    def _evict(self, entry: ModelEntry) -> Awaitable[None]:
        self.evicted.append(entry.id)
        entry.become(ModelState.DRAINING)
        return self._remove(entry)

    async def _remove(self, entry: ModelEntry) -> None:
        self.entries.remove(entry)

    def add(self, id: str, gigabytes: int = 0, *, used_at: float = 0.0, **spec: Any) -> ModelEntry:
        """A model that is ready, last used at `used_at`."""
        entry = self.coming(id, **spec)
        entry.footprint = parts(RAM=gigabytes)
        entry.state, entry.ready_at, entry.idle_since = READY, used_at, used_at
        return entry

    def coming(self, id: str = "new", **spec: Any) -> ModelEntry:
        """A model that is loading and has nothing yet."""
        entry = ModelEntry(
            ModelSpec(id=id, source=DemoSource(), **spec), lambda _: None, state=LOADING
        )
        self.entries.append(entry)
        return entry

    async def reserve(self, entry: ModelEntry, gigabytes: int) -> None:
        async with asyncio.timeout(5):
            await self.memory.reserve(entry, parts(RAM=gigabytes))

    def reserving(self, entry: ModelEntry, gigabytes: int) -> asyncio.Task[None]:
        return asyncio.create_task(self.reserve(entry, gigabytes))


async def waits(task: asyncio.Task[None]) -> bool:
    """Whether `task` is still at it once everything has been done that can be."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not task.done()


# Limits.


async def test_without_a_budget_nothing_is_too_much() -> None:
    house = House(NO_LIMIT)
    await house.reserve(house.coming(), 10**6)
    assert house.memory.used() == {"RAM": 10**6 * GB}


async def test_an_automatic_budget_is_most_of_the_memory_and_no_gpu_before_one_is_seen() -> None:
    limits = House(BudgetConfig(auto=True)).memory.limits
    assert limits.total is None
    assert limits.devices == {"RAM": int(read_memory().total * 0.8)}


async def test_an_automatic_budget_of_a_gpu_is_what_was_free_when_it_was_first_seen() -> None:
    house = House(BudgetConfig(auto=True))
    house.memory.learn((gpu(0, free=70), gpu(1, free=30)))
    house.memory.learn((gpu(0, free=5), gpu(1, free=5)))
    assert {**house.memory.limits.devices, "RAM": 0} == {
        "RAM": 0,
        "CUDA0": 70 * GB,
        "CUDA1": 30 * GB,
    }


async def test_an_engine_without_gpus_teaches_nothing() -> None:
    house = House(BudgetConfig(auto=True))
    house.memory.learn(())
    house.memory.learn((gpu(0, free=70),))
    assert house.memory.devices == (gpu(0, free=70),)


async def test_gpus_do_not_change_a_budget_that_was_configured() -> None:
    house = House(BudgetConfig(device_bytes={"CUDA0": GB}))
    house.memory.learn((gpu(0, free=70),))
    assert house.memory.limits.devices == {"CUDA0": GB}


# Setting aside.


async def test_what_does_not_fit_is_refused_and_nothing_is_set_aside() -> None:
    house = House()
    house.add("old", 6)
    new = house.coming()
    with pytest.raises(InsufficientMemory, match="'new' needs 4.66 GiB of total"):
        await house.reserve(new, 5)
    assert (new.footprint, house.memory.used()) == ((), {"RAM": 6 * GB})


async def test_a_gpu_may_be_short_where_memory_is_not() -> None:
    house = House(BudgetConfig(device_bytes={"RAM": 10 * GB, "CUDA0": 4 * GB}))
    new = house.coming()
    with pytest.raises(InsufficientMemory) as caught:
        await house.memory.reserve(new, parts(RAM=2, CUDA0=5))
    assert caught.value.metadata["device"] == "CUDA0"
    assert new.footprint == ()


async def test_a_model_that_comes_back_does_not_stand_in_its_own_way() -> None:
    house = House()
    again = house.add("again", 6)
    await house.reserve(again, 7)
    assert house.memory.used() == {"RAM": 7 * GB}


async def test_a_pinned_model_that_comes_back_may_make_room_for_itself() -> None:
    house = House()
    again = house.add("again", 6, pinned=True, evicts=True)
    house.add("other", 4)
    await house.reserve(again, 7)
    assert house.evicted == ["other"]


# Who goes.


async def test_the_longest_idle_go_first_and_no_more_than_must() -> None:
    house = House()
    for id, used_at in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        house.add(id, 3, used_at=used_at)
    await house.reserve(house.coming(evicts=True), 6)
    assert house.evicted == ["b", "c"]


async def test_one_whose_going_turns_out_not_to_help_stays() -> None:
    house = House()
    house.add("small", 1, used_at=1.0)
    house.add("large", 8, used_at=2.0)
    await house.reserve(house.coming(evicts=True), 9)
    assert house.evicted == ["large"]


@pytest.mark.parametrize("why", ["pinned", "busy", "waited for", "just come", "not ready"])
async def test_there_are_models_that_do_not_go(why: str) -> None:
    house = House(min_residency_s=HOUR if why == "just come" else 0.0)
    old = house.add("old", 6, pinned=why == "pinned")
    match why:
        case "busy":
            old.leases = 1
        case "waited for":
            old.callers_waiting = 1
        case "just come":
            old.ready_at = asyncio.get_running_loop().time()
        case "not ready":
            old.state = ModelState.RESTARTING
    assert house.memory.victims({"RAM": 5 * GB}) is None


async def test_nobody_goes_where_there_is_room() -> None:
    house = House()
    house.add("old", 5)
    assert house.memory.victims({"RAM": 5 * GB}) == []


async def test_one_who_evicts_nobody_does_not_wait_either() -> None:
    house = House()
    house.add("old", 6)
    task = house.reserving(house.coming(), 6)
    assert not await waits(task)
    with pytest.raises(InsufficientMemory):
        await task


async def test_one_who_would_not_fit_beside_the_pinned_does_not_wait() -> None:
    house = House()
    house.add("pinned", 6, pinned=True)
    house.add("busy", 2).leases = 1
    task = house.reserving(house.coming(evicts=True), 6)
    assert not await waits(task)
    with pytest.raises(InsufficientMemory):
        await task


# Waiting.


async def test_a_load_waits_until_a_busy_model_is_idle() -> None:
    house = House()
    old = house.add("old", 6)
    old.leases = 1
    task = house.reserving(house.coming(evicts=True), 6)
    assert await waits(task)
    old.leases = 0
    house.memory.wake()
    await task
    assert house.evicted == ["old"]


async def test_a_change_that_makes_no_room_is_waited_out() -> None:
    house = House()
    old = house.add("old", 6)
    old.leases = 1
    task = house.reserving(house.coming(evicts=True), 6)
    for _ in range(3):
        house.memory.wake()
        assert await waits(task)
    house.entries.remove(old)
    house.memory.wake()
    await task


async def test_a_load_waits_until_a_model_has_stayed_long_enough() -> None:
    house = House(min_residency_s=0.05)
    old = house.add("old", 6, used_at=asyncio.get_running_loop().time())
    new = house.coming(evicts=True)
    task = house.reserving(new, 6)
    assert await waits(task)
    await task
    assert (house.evicted, house.entries) == ([old.id], [new])


async def test_patience_ends() -> None:
    house = House(patience_s=0.05)
    house.add("old", 6).leases = 1
    with pytest.raises(InsufficientMemory):
        await house.reserve(house.coming(evicts=True), 6)
    assert house.evicted == []


async def test_one_who_leaves_while_it_waits_has_nothing() -> None:
    house = House()
    house.add("old", 6).leases = 1
    new = house.coming(evicts=True)
    task = house.reserving(new, 6)
    assert await waits(task)
    task.cancel()
    await asyncio.wait([task])
    assert (new.footprint, house.evicted) == ((), [])


async def test_two_who_wait_for_the_same_room_do_not_both_get_it() -> None:
    house = House()
    old = house.add("old", 6)
    old.leases = 1
    tasks = [house.reserving(house.coming(id, evicts=True), 6) for id in "ab"]
    assert all([await waits(task) for task in tasks])
    house.entries.remove(old)
    house.memory.wake()
    assert [await waits(task) for task in tasks].count(True) == 1
    assert house.memory.used() == {"RAM": 6 * GB}
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
