"""The load generator's process: `python -m bench.load corral|llama-server HOST:PORT`.

Takes a plan as a line of JSON, warms the server up, says `ready`, waits for a line, plays the plan
and prints what it saw as a line of JSON.
"""

import asyncio
import gc
import sys
from collections.abc import Callable

import msgspec

from bench.load.corral import CorralTarget
from bench.load.llama import LlamaTarget
from bench.load.plan import EmbedPlan, Plan
from bench.load.player import play, warm_up
from bench.load.target import Target

_TARGETS: dict[str, Callable[[str], Target]] = {"corral": CorralTarget, "llama-server": LlamaTarget}


async def _main(kind: str, address: str) -> int:
    loop = asyncio.get_running_loop()
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan | EmbedPlan)
    target = _TARGETS[kind](address)
    error = await warm_up(plan, target)
    if error:
        sys.stderr.write(f"the warm-up failed: {error}\n")
        return 1
    gc.collect()
    gc.disable()  # its pauses are not the server's
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.readline)
    seen = await play(plan, target)
    sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")
    await target.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(*sys.argv[1:])))
