"""What loads and unloads cost those who do not ask for them, and whether all is given back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import psutil

from bench.result import Result
from bench.running_server import RunningServer, running_server
from bench.synthetic import write_synthetic
from corral.aio import Client

CYCLES = 100
LOADS = 5
MIB = 2**20


def measure_lifecycle() -> list[Result]:
    """All of them, on a server of their own."""
    with TemporaryDirectory() as folder:
        big = Path(folder) / "big.gguf"
        write_synthetic(big, layers=12, embedding=1024, heads=16, kv_heads=8, ff=2816, vocab=32000)
        with running_server("--log-level", "warning") as server:
            results = asyncio.run(_measure(server, big))
    return results


async def _measure(server: RunningServer, big: Path) -> list[Result]:
    async with Client(server.address) as corral:
        return [
            *await _lookups_beside_loads(corral, big),
            *await _tokens_beside_loads(corral, big),
            *await _unload(corral, server, big),
            *await _cycles(corral, server),
        ]


async def _beside_loads(corral: Client, big: Path, measure: Callable[[], Awaitable[None]]) -> None:
    """Runs `measure` over and over while a big model is loaded a few times."""
    loading = asyncio.create_task(_load_often(corral, big))
    while not loading.done():
        await measure()
    await loading


async def _load_often(corral: Client, big: Path) -> None:
    for _ in range(LOADS):
        await corral.models.load("big", big)
        await corral.models.unload("big", force=True)


async def _lookups_beside_loads(corral: Client, big: Path) -> list[Result]:
    taken: dict[str, list[float]] = {"ListModels": [], "GetModel": []}

    async def look_up() -> None:
        for name, ask in (("ListModels", corral.models.list), ("GetModel", corral.models.get)):
            started = time.perf_counter()
            await ask()
            taken[name].append((time.perf_counter() - started) * 1000)

    await _beside_loads(corral, big, look_up)
    return [
        Result(
            f"{name} while another model loads, p99 of {len(times)}",
            f"{_p99(times):.2f} ms",
            "< 5 ms",
            _p99(times) < 5,
        )
        for name, times in taken.items()
    ]


async def _tokens_beside_loads(corral: Client, big: Path) -> list[Result]:
    gaps: list[float] = []

    async def stream() -> None:
        last: float | None = None
        async for _ in corral.inference.generate_stream(
            "Once upon a time", model="demo", max_tokens=200, ignore_eos=True
        ):
            now = time.perf_counter()
            if last is not None:
                gaps.append((now - last) * 1000)
            last = now

    for _ in range(10):
        await stream()
    baseline = _p99(gaps)
    gaps.clear()
    await _beside_loads(corral, big, stream)
    ratio = _p99(gaps) / baseline
    return [
        Result(
            "time between tokens while another model loads, p99 against alone",
            f"{_p99(gaps):.2f} / {baseline:.2f} ms = {ratio:.2f}",
            "<= 1.2",
            ratio <= 1.2,
        )
    ]


async def _unload(corral: Client, server: RunningServer, big: Path) -> list[Result]:
    before = set(server.engine_pids())
    available = psutil.virtual_memory().available
    await corral.models.load("big", big)
    (engine,) = set(server.engine_pids()) - before
    taken = psutil.Process(engine).memory_info().rss
    started = time.perf_counter()
    await corral.models.unload("big")
    took_ms = (time.perf_counter() - started) * 1000
    gone = not psutil.pid_exists(engine)
    missing = available - psutil.virtual_memory().available
    return [
        Result(
            f"unload of a model of {taken / MIB:.0f} MiB: process gone when it returns",
            f"{'yes' if gone else 'no'}, after {took_ms:.0f} ms",
            "yes",
            gone,
        ),
        Result(
            "  memory not back at that moment",
            f"{max(missing, 0) / MIB:.0f} MiB",
            "< 10 %",
            missing < taken / 10,
        ),
    ]


async def _cycles(corral: Client, server: RunningServer) -> list[Result]:
    parent = psutil.Process(server.pid)

    async def cycle(count: int) -> tuple[int, int, int]:
        for _ in range(count):
            await corral.models.load("again", "demo")
            await corral.models.unload("again")
        return parent.memory_info().rss, parent.num_fds(), len(parent.children())

    rss, descriptors, children = await cycle(10)
    rss_after, descriptors_after, children_after = await cycle(CYCLES)
    grown = (rss_after - rss) / MIB
    left = (descriptors_after - descriptors, children_after - children)
    return [
        Result(
            f"{CYCLES} load/unload cycles: growth of the server's memory",
            f"{grown:.1f} MiB",
            "< 5 MB",
            grown < 4.77,
        ),
        Result(
            "  descriptors, processes left behind", f"{left[0]}, {left[1]}", "0, 0", left == (0, 0)
        ),
    ]


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]
