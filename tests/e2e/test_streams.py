"""Many streams at once, through a real server with a real engine."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.running_server import RunningServer, running_server
from corral.aio import Client
from tiny_gguf import write_llama

pytestmark = pytest.mark.asyncio

CANCELS = 1000
CANCELS_AT_ONCE = 16


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Its engine computes on one thread, and so has no other (`llama/spin.py`) where this program
    hinders it: all threads that come are leaks."""
    folder = tmp_path_factory.mktemp("models")
    path, config = write_llama(folder / "tiny.gguf"), folder / "corral.toml"
    source = f"source = {json.dumps(str(path))}"
    config.write_text(f"[models.tiny]\n{source}\ndefault = true\nthreads = 1\n")
    with running_server("--config", str(config), "--log-level", "warning") as server:
        yield server


async def test_64_streams_on_8_slots_all_complete_with_every_token_in_order(
    server: RunningServer,
) -> None:
    async with Client(server.address) as corral:
        assert (await corral.models.get("tiny")).facts.slots == 8

        async def read(number: int) -> int:
            total = 0
            async for delta in corral.inference.generate_stream(
                f"Stream number {number}", max_tokens=40, tokens=True, ignore_eos=True
            ):
                total += len(delta.tokens)
                assert delta.proto.completion_tokens == total
            return total

        async with asyncio.timeout(50):
            totals = await asyncio.gather(*(read(number) for number in range(64)))
    assert totals == [40] * 64


async def test_1000_cancelled_streams_leave_nothing_behind(server: RunningServer) -> None:
    engine = psutil.Process(server.engine_pids()[0])
    parent = psutil.Process(server.pid)
    async with Client(server.address) as corral:
        permits = asyncio.Semaphore(CANCELS_AT_ONCE)

        async def cancel_one(number: int) -> None:
            async with permits:
                stream = corral.inference.generate_stream(
                    f"Cancel {number}", max_tokens=200, ignore_eos=True
                )
                # Some before they are heard of, some while they wait, some while they run.
                deltas = aiter(stream)
                for _ in range(number % 4):
                    await anext(deltas, None)
                stream.cancel()

        async def cancel_many(count: int) -> None:
            await asyncio.gather(*(cancel_one(number) for number in range(count)))
            await _until_idle(corral)

        await cancel_many(100)  # caches and pools fill up once
        before = _resources(parent, engine)
        await cancel_many(CANCELS)
        after = _resources(parent, engine)
        answer = await corral.inference.generate("Still there?", max_tokens=8, ignore_eos=True)
    assert answer.finished.usage.completion_tokens == 8
    descriptors, threads, rss = (now - then for now, then in zip(after, before, strict=True))
    assert descriptors <= 2
    assert threads <= 2
    assert rss < 4 * 1024 * 1024


async def _until_idle(corral: Client) -> None:
    """Waits until no call is left. The server counts them, but no call waits for that."""
    async with asyncio.timeout(20):
        while (await corral.models.get("tiny")).active_requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _resources(parent: psutil.Process, engine: psutil.Process) -> tuple[int, int, int]:
    """Descriptors, threads and resident bytes of the server and its engine together."""
    processes = (parent, engine)
    return (
        sum(process.num_fds() for process in processes),
        sum(process.num_threads() for process in processes),
        sum(process.memory_info().rss for process in processes),
    )


async def test_a_cancelled_stream_frees_its_slot_for_the_next(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "one.gguf")
    with running_server("--model", f"one={path}") as server:
        async with Client(server.address) as corral:
            await corral.models.unload("one")
            await corral.models.load("one", path, slots=1, make_default=True)
            for _ in range(20):
                endless = corral.inference.generate_stream("a", max_tokens=250, ignore_eos=True)
                deltas = aiter(endless)
                await anext(deltas)
                endless.cancel()
                async with asyncio.timeout(5):
                    await corral.inference.generate("b", max_tokens=1)


async def test_three_idle_models_use_no_cpu(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tiny.gguf")
    models = [argument for id in "abc" for argument in ("--model", f"{id}={path}")]
    with running_server(*models) as server:
        async with Client(server.address) as corral:
            for id in "abc":
                await corral.inference.generate("Hi", model=id, max_tokens=4)
        engines = [psutil.Process(pid) for pid in server.engine_pids()]
        assert len(engines) == 3
        # Time itself is what is measured here: nothing happens, and nobody may notice it. The
        # first second is left to the computing threads, which spin a little after the last token.
        await asyncio.sleep(1)
        before = _cpu_seconds(engines)
        await asyncio.sleep(2)
        assert _cpu_seconds(engines) == before


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    times = (process.cpu_times() for process in processes)
    return sum(time.user + time.system for time in times)
