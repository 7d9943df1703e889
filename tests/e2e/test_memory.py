"""What models take and give back, on the real thing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import corral
from bench.running_server import RunningServer, running_server
from corral.aio import Client
from tiny_gguf import write_llama

pytestmark = pytest.mark.asyncio

CYCLES = 20
MIB = 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    path = write_llama(tmp_path_factory.mktemp("models") / "tiny.gguf")
    with running_server("--model", f"tiny={path}", "--budget", "200 MB") as server:
        yield server


async def test_an_unload_returns_when_the_process_is_gone(server: RunningServer) -> None:
    async with Client(server.address) as client:
        before = set(server.engine_pids())
        await client.models.load("demo", "demo")
        (engine,) = set(server.engine_pids()) - before
        assert psutil.Process(engine).memory_info().rss > 20 * MIB
        await client.models.unload("demo")
        assert not psutil.pid_exists(engine)


async def test_load_and_unload_over_and_over_leave_nothing_behind(server: RunningServer) -> None:
    parent = psutil.Process(server.pid)
    async with Client(server.address) as client:

        async def cycle(count: int) -> tuple[int, int, int]:
            for _ in range(count):
                await client.models.load("demo", "demo")
                await client.inference.generate("Hi", model="demo", max_tokens=2)
                await client.models.unload("demo")
            children = len(parent.children(recursive=True))
            return parent.memory_info().rss, parent.num_fds(), children

        rss, descriptors, children = await cycle(5)
        rss_after, descriptors_after, children_after = await cycle(CYCLES)
    assert rss_after - rss < 5 * MIB
    assert descriptors_after <= descriptors
    assert children_after == children == 1


async def test_the_budget_is_kept_and_says_what_is_missing(server: RunningServer) -> None:
    async with Client(server.address) as client:
        with pytest.raises(corral.InsufficientMemory) as error:
            await client.models.load("big", "demo", context_size=4_000_000, slots=1)
        metadata = error.value.metadata
        assert int(metadata["required"]) > int(metadata["available"]) > 0
        assert [model.state for model in await client.models.list() if model.id == "tiny"] == [
            corral.ModelState.MODEL_STATE_READY
        ]
        await client.models.unload("big")
        memory = await client.models.memory()
        (ram,) = memory.devices
        assert ram.budget_bytes == 200_000_000
        assert ram.reserved_bytes == sum(
            device.reserved_bytes for model in memory.models for device in model.devices
        )


async def test_predicting_loads_nothing(server: RunningServer) -> None:
    async with Client(server.address) as client:
        before = server.engine_pids()
        prediction = await client.models.predict_memory("demo")
        assert prediction.fits
        assert prediction.facts.architecture == "llama"
        assert server.engine_pids() == before
        await client.models.load("demo", "demo")
        model = await client.models.get("demo")
        await client.models.unload("demo")
    (predicted,), (real,) = prediction.devices, model.memory
    assert real.measured_bytes == pytest.approx(predicted.reserved_bytes, rel=0.1)


async def test_an_idle_model_goes_and_comes_back_with_the_next_call(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tiny.gguf")
    config = tmp_path / "corral.toml"
    config.write_text(
        f'[models.lazy]\nsource = "{path}"\nstart = "on_demand"\nkeep_alive = 0.2\n'
        'aliases = ["sleepy"]\n'
    )
    with running_server("--config", str(config)) as server:
        async with Client(server.address) as client:
            states = []

            async def watch() -> None:
                async for change in client.models.watch():
                    if change.HasField("changed"):
                        states.append(corral.ModelState.Name(change.changed.state))
                    if states[-1:] == ["MODEL_STATE_NOT_LOADED"] and len(states) > 3:
                        return

            watching = asyncio.create_task(watch())
            assert (await client.models.get("lazy")).state == 6
            await client.inference.generate("Hi", model="sleepy", max_tokens=2)
            async with asyncio.timeout(20):
                await watching
            assert server.engine_pids() == []
    assert [state.removeprefix("MODEL_STATE_") for state in states] == [
        "LOADING",
        "READY",
        "DRAINING",
        "NOT_LOADED",
    ]
