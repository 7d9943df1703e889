"""Many clients at once, on the same few models. CORRAL_STORM_SEEDS=100 blows longer and oftener."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

import fake_engine
from corral.v1 import inference_pb2, model_pb2
from corral.v1 import model_manager_pb2 as pb
from corral_server.config import BudgetConfig
from corral_server.models.engines import Engines
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.registry import ModelRegistry, RegistryObserver
from fake_engine import QUICK
from rpc.service import Service, last, read_refusal, serving
from watch import running_engines

pytestmark = pytest.mark.asyncio

SOAK = os.environ.get("CORRAL_STORM_SEEDS")
SEEDS = range(int(SOAK or 1))
CLIENTS, ROUNDS = 32, 200 if SOAK else 100
MB = 10**6
# Any two of them fit, all three do not.
SIZES = {"a": 4 * MB, "b": 5 * MB, "c": 6 * MB}
LIMIT = 11 * MB

# What may be told to a caller who did nothing wrong.
DECLARED = {
    (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
    (grpc.StatusCode.ABORTED, "MODEL_UNLOADED"),
    # A load that evicts is another one than a load that does not.
    (grpc.StatusCode.ALREADY_EXISTS, "LOAD_CONFLICT"),
    (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_FAILED"),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "INSUFFICIENT_MEMORY"),
}


class Bookkeeper(RegistryObserver):
    """Adds up by itself what is set aside, whenever a model changes."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        registry.subscribe(self)

    def changed(self, entry: ModelEntry) -> None:
        self.check()

    def check(self) -> None:
        holders = [entry.id for entry in self._registry.entries() if entry.footprint]
        used = self._registry.memory.used().get("RAM", 0)
        assert used == sum(SIZES[id] for id in holders) <= LIMIT
        ready = [entry for entry in self._registry.entries() if entry.state is ModelState.READY]
        assert {entry.id for entry in ready} <= set(holders)


@pytest_asyncio.fixture
async def stormy(tmp_path: Path) -> AsyncIterator[Service]:
    registry = ModelRegistry(
        engines=Engines(fake_engine.COMMAND),
        timeouts=QUICK,
        budget=BudgetConfig(total_bytes=LIMIT),
        min_residency_s=0.0,
        patience_s=0.05,
    )
    async with serving(registry, tmp_path) as service:
        yield service
    await registry.close()
    assert running_engines() == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_storm_ends_in_declared_codes_and_the_state_last_acknowledged(
    stormy: Service, seed: int
) -> None:
    dice = random.Random(seed)
    sources = {id: stormy.source(id, ram_bytes=size) for id, size in SIZES.items()}
    books = Bookkeeper(stormy.registry)
    ends: Counter[object] = Counter()

    async def act(id: str, what: str) -> None:
        match what:
            case "load":
                evicts = dice.random() < 0.5
                load = pb.LoadModelRequest(id=id, source=sources[id], evict_idle=evicts)
                await last(stormy.models.LoadModel(load))
            case "unload":
                force = dice.random() < 0.5
                await stormy.models.UnloadModel(pb.UnloadModelRequest(id=id, force=force))
            case "generate":
                generate = inference_pb2.GenerateRequest(model=id, prompt="hi")
                await stormy.inference.Generate(generate)

    async def client() -> None:
        for _ in range(ROUNDS):
            (what,) = dice.choices(["load", "unload", "generate"], [20, 1, 79])
            try:
                await act(dice.choice("abc"), what)
                ends[what] += 1
            except grpc.aio.AioRpcError as error:
                told = read_refusal(error)
                ends[told.code, told.reason] += 1
            books.check()

    async with asyncio.timeout(50):
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        refusals = {end for end in ends if not isinstance(end, str)}
        assert refusals <= DECLARED
        assert all(ends[what] for what in ("load", "unload", "generate")), ends
        expected = await settle(stormy, sources, dice)
    books.check()
    listed = (await stormy.models.ListModels(pb.ListModelsRequest())).models
    assert {model.id: model.state for model in listed} == expected
    assert len(running_engines()) == len(expected)
    assert all(entry.leases == 0 for entry in stormy.registry.entries())


async def settle(
    service: Service, sources: dict[str, model_pb2.ModelSource], dice: random.Random
) -> dict[str, int]:
    """One last acknowledged call for each model; what is there after it."""
    for id in sources:
        try:
            await service.models.UnloadModel(pb.UnloadModelRequest(id=id))
        except grpc.aio.AioRpcError as error:
            assert read_refusal(error).reason == "MODEL_NOT_FOUND"
    loaded = dice.sample(sorted(sources), 2)
    for id in loaded:
        await last(service.models.LoadModel(pb.LoadModelRequest(id=id, source=sources[id])))
    return dict.fromkeys(loaded, model_pb2.MODEL_STATE_READY)
