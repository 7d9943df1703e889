"""The numbers Corral promises, measured here and now: `make bench`.

Starts a server of its own on a free port with the demo model, asks it over gRPC from this process,
and prints one table. Nothing is compared with anything; that is what a peer's bench is for.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from statistics import median, quantiles

import psutil

from bench.lifecycle import measure_lifecycle
from bench.process import cpu_s
from bench.result import Result, print_table
from bench.running_server import RunningServer, running_server
from corral import user
from corral.aio import Client
from corral_server.processors import usable_processors

STREAMS = 64
CANCELS = 1000
IDLE_S = 10.0
STORY = "Tell me a story."

# An engine that this program hinders has a team of threads that sleep (`llama/spin.py`).
_SLEEPERS = usable_processors() + 1


async def first_token(address: str) -> None:
    async with Client(address) as corral:
        async for _ in corral.inference.chat_stream([user("Hello!")], temperature=0):
            return


def measure_start() -> Result:
    started = time.monotonic()
    with running_server() as server:
        asyncio.run(first_token(server.address))
        took_s = time.monotonic() - started
    return Result("start of the process to the first token", f"{took_s:.2f} s", "< 6 s", took_s < 6)


async def measure_streams(address: str) -> list[Result]:
    times: list[float] = []
    counts: list[int] = []

    async def read(corral: Client) -> None:
        asked = time.monotonic()
        stream = corral.inference.chat_stream(
            [user(STORY)], max_tokens=100, temperature=0, ignore_eos=True, tokens=True
        )
        received = 0
        async for delta in stream:
            if not received:
                times.append(time.monotonic() - asked)
            received += len(delta.tokens)
            assert delta.proto.completion_tokens == received, "a token is missing or out of order"
        counts.append(received)

    async with Client(address) as corral:
        started = time.monotonic()
        await asyncio.gather(*(read(corral) for _ in range(STREAMS)))
        took_s = time.monotonic() - started
    complete = sum(count == 100 for count in counts)
    percentiles = quantiles(times, n=100)
    return [
        Result(
            f"{STREAMS} streams at once on 8 slots: complete, in order",
            f"{complete} of {STREAMS}",
            f"{STREAMS}",
            complete == STREAMS,
        ),
        Result("  tokens per second, all streams", f"{sum(counts) / took_s:.0f}"),
        Result(
            "  time to first token, p50 / p99",
            f"{median(times) * 1000:.0f} / {percentiles[98] * 1000:.0f} ms",
        ),
    ]


async def measure_cancels(server: RunningServer) -> list[Result]:
    processes = [psutil.Process(pid) for pid in (server.pid, *server.engine_pids())]
    permits = asyncio.Semaphore(16)

    async def cancel_one(corral: Client) -> None:
        async with permits:
            stream = corral.inference.chat_stream([user(STORY)], ignore_eos=True)
            await anext(aiter(stream))
            stream.cancel()

    async def cancel_many(corral: Client, count: int) -> None:
        await asyncio.gather(*(cancel_one(corral) for _ in range(count)))
        while (await corral.models.get()).active_requests:  # noqa: ASYNC110 (no call waits for it)
            await asyncio.sleep(0.01)

    async with Client(server.address) as corral:
        await cancel_many(corral, 100)
        before = _resources(processes)
        await cancel_many(corral, CANCELS)
        after = _resources(processes)
        freed_ms = await _time_to_free_slot(corral)
    descriptors, threads, rss = (now - then for now, then in zip(after, before, strict=True))
    return [
        Result(
            f"{CANCELS} cancelled streams: descriptors, threads left behind",
            f"{descriptors}, {threads}",
            f"0, at most {_SLEEPERS}",
            descriptors <= 0 and threads <= _SLEEPERS,
        ),
        Result("  resident memory left behind", f"{rss / 1024:.0f} KiB", "< 4 MiB", rss < 4 << 20),
        Result("  cancel of 8 streams to a ninth's first token", f"{freed_ms:.1f} ms"),
    ]


async def _time_to_free_slot(corral: Client) -> float:
    """All slots run; they are cancelled, and another stream has its first token: milliseconds."""
    running = [
        corral.inference.chat_stream([user(STORY)], ignore_eos=True, max_tokens=1000)
        for _ in range(8)
    ]
    deltas = [aiter(stream) for stream in running]
    await asyncio.gather(*(anext(first) for first in deltas))
    started = time.monotonic()
    for stream in running:
        stream.cancel()
    async for _ in corral.inference.chat_stream([user("Hello!")], temperature=0):
        break
    return (time.monotonic() - started) * 1000


def _resources(processes: list[psutil.Process]) -> tuple[int, int, int]:
    """Descriptors, threads, resident bytes."""
    counts: list[Callable[[psutil.Process], int]] = [
        lambda process: int(process.num_fds()),
        lambda process: int(process.num_threads()),
        lambda process: int(process.memory_info().rss),
    ]
    descriptors, threads, rss = (sum(count(process) for process in processes) for count in counts)
    return descriptors, threads, rss


def measure_idle() -> list[Result]:
    """Engines block on their channels; the server still has gRPC's own timers, a few a second."""
    models = [argument for id in "abc" for argument in ("--model", f"{id}=demo")]
    with running_server(*models) as server:
        asyncio.run(first_token(server.address))
        time.sleep(1)  # the computing threads spin a little after the last token
        pids = (server.pid, *server.engine_pids())
        before = [cpu_s(pid) for pid in pids]
        time.sleep(IDLE_S)
        parent, *engines = (
            (cpu_s(pid) - then) * 1000 for pid, then in zip(pids, before, strict=True)
        )
    share = parent / (IDLE_S * 1000)
    return [
        Result(
            f"CPU of three idle engines in {IDLE_S:.0f} s",
            f"{sum(engines):.1f} ms",
            "0 ms",
            sum(engines) < 0.1,
        ),
        Result("  of the server before them", f"{share:.2%} of a core", "< 0.5 %", share < 0.005),
    ]


def main() -> int:
    results = [measure_start()]
    with running_server("--log-level", "warning") as server:
        results += asyncio.run(measure_streams(server.address))
        results += asyncio.run(measure_cancels(server))
    results += measure_idle()
    results += measure_lifecycle()
    return 0 if print_table(results) else 1


if __name__ == "__main__":
    sys.exit(main())
