"""How long an engine is still busy with a prompt that its caller has given up.

    python -m bench.cancel [MODEL]

A prompt of 2,000 tokens is cancelled in the middle of a step. An engine answers questions between
steps, so the first answer that says nothing runs comes when the step has ended.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from bench.result import Result, print_table
from bench.running_server import running_server
from bench.shapes import BenchModel, bench_model
from corral.v1 import inference_pb2 as pb
from corral.v1 import server_pb2, tokenization_pb2
from corral.v1.inference_pb2_grpc import InferenceStub
from corral.v1.server_pb2_grpc import ServerStub

GOAL_MS = 100
_CANCELS = 20
_PROMPT = 2000
_CONFIG = """
[models.m]
source = "{path}"
default = true
slots = 1
context_size = 4096
"""


async def measure(address: str, model: BenchModel) -> list[float]:
    """Milliseconds from each cancel to an engine that is free."""
    async with grpc.aio.insecure_channel(address) as channel:
        inference, server = InferenceStub(channel), ServerStub(channel)
        return [await _cancel(inference, server, model) for _ in range(_CANCELS)]


async def _cancel(inference: Any, server: Any, model: BenchModel) -> float:
    prompt = tokenization_pb2.TokenIds(ids=random.choices(model.words, k=_PROMPT))
    request = pb.GenerateStreamRequest(prompt_tokens=prompt, max_tokens=1)
    call = inference.GenerateStream(request)
    started = await call.read()
    assert isinstance(started, pb.GenerateStreamResponse) and started.HasField("started")
    # Some way into the prompt: the steps are much longer than this varies.
    await asyncio.sleep(random.uniform(0.05, 0.5))
    began = time.perf_counter()
    call.cancel()
    while True:
        load = await server.GetLoad(server_pb2.GetLoadRequest())
        if load.models[0].running == 0:
            return (time.perf_counter() - began) * 1000


def main() -> int:
    model = bench_model(sys.argv[1] if len(sys.argv) > 1 else "qwen3-0.6b")
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(_CONFIG.format(path=Path(model.path).resolve()))
        config.flush()
        with running_server("--config", config.name, "--log-level", "warning") as server:
            took = asyncio.run(measure(server.address, model))
    p50, highest = float(np.median(took)), max(took)
    kept = print_table(
        [
            Result(f"{model.name}: cancel inside a prompt, p50", f"{p50:.0f} ms"),
            Result(
                f"{model.name}: the longest of {_CANCELS}",
                f"{highest:.0f} ms",
                f"<= {GOAL_MS} ms",
                highest <= GOAL_MS,
            ),
        ]
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
