"""Schedulers of any size, put together as an engine does."""

import time
from collections.abc import Callable

from corral_server.engine.batch import Batch
from corral_server.engine.host_cache import HostCache
from corral_server.engine.kv_cache import KvCache, Policy
from corral_server.engine.loop import Runner
from corral_server.engine.pace import Pace
from corral_server.engine.scheduler import Scheduler
from corral_server.ipc.messages import Output
from corral_server.llama.host_memory import HostMemory


def make_cache(
    *,
    cells: int,
    slots: int,
    kept: int = 8,
    policy: Policy | None = None,
    host_bytes: int = 0,
) -> KvCache:
    """A cache for `slots` running sequences and `kept` finished ones."""
    policy = policy or Policy()
    host = HostCache(HostMemory(host_bytes), whole=policy.whole) if host_bytes else None
    return KvCache(cells=cells, slots=slots + kept, policy=policy, host=host)


def make_scheduler(
    *,
    slots: int = 4,
    cells: int = 1000,
    batch_tokens: int = 8,
    max_waiting: int = 16,
    kept: int = 8,
    policy: Policy | None = None,
    host_bytes: int = 0,
    target_s: float = 60.0,
    pace: Pace | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Scheduler:
    """With a `target_s` that no step takes, prompts may fill every batch. `pace`: by default one
    that has seen nothing."""
    return Scheduler(
        slots=slots,
        cache=make_cache(cells=cells, slots=slots, kept=kept, policy=policy, host_bytes=host_bytes),
        pace=pace or Pace(target_s=target_s, batch_tokens=batch_tokens),
        max_waiting=max_waiting,
        clock=clock,
    )


def computed(scheduler: Scheduler, runner: Runner, batch: Batch) -> list[Output]:
    """What comes of a batch that `scheduler` has made."""
    runner.compute(batch)
    return scheduler.update(batch, runner.pick(batch))
