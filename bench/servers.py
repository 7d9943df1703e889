"""Corral and llama-server, each started with the same model, context, slots and threads.

What is not set here is each one's own default: how prompts are cut into steps, caching, HTTP or
gRPC. Both compute at most 512 tokens in one graph.
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import psutil

from bench import peer
from bench.running_server import running_server
from bench.shapes import BenchModel

THREADS = psutil.cpu_count(logical=False) or 1
_LOADING_S = 120.0
_POLL_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a model is served. `context`: tokens of the cache, over all slots.

    `max_waiting`: requests that may wait for a slot; llama-server knows no such bound.
    """

    slots: int
    context: int
    embeds: bool = False
    max_waiting: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that answers. Times are of the machine's monotonic clock, seconds.

    `engine`: the process that computes. `front`: the one before it, where there is one.
    """

    address: str
    engine: int
    front: int | None
    started_s: float
    ready_s: float


Start = Callable[[BenchModel, Settings, str], AbstractContextManager[Serving]]


@contextmanager
def corral(model: BenchModel, settings: Settings, address: str) -> Iterator[Serving]:
    """`corral serve`, and its end."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "corral.toml"
        file.write_text(_configuration(model, settings))
        started_s = time.perf_counter()
        arguments = ("--config", str(file), "--log-level", "warning")
        with running_server(*arguments, address=address, deadline_s=_LOADING_S) as server:
            ready_s = time.perf_counter()
            engine, *_ = server.engine_pids() or [0]
            assert engine, "\n".join(server.lines)
            yield Serving(
                address=address,
                engine=engine,
                front=server.pid,
                started_s=started_s,
                ready_s=ready_s,
            )


def _configuration(model: BenchModel, settings: Settings) -> str:
    lines = [
        "[models.bench]",
        f"source = {json.dumps(str(model.path))}",
        "default = true",
        f"slots = {settings.slots}",
        f"context_size = {settings.context}",
        f"threads = {THREADS}",
        f"max_waiting = {settings.max_waiting}",
    ]
    if settings.embeds:
        lines += ['capabilities = ["embed"]', 'pooling = "mean"']
    return "\n".join(lines)


@contextmanager
def llama_server(model: BenchModel, settings: Settings, address: str) -> Iterator[Serving]:
    """llama-server with the cache its slots share, as where it is left to choose; and its end."""
    host, _, port = address.rpartition(":")
    command = [
        *(str(peer.program("llama-server")), "--model", str(model.path)),
        *("--host", host, "--port", port),
        *("--parallel", str(settings.slots), "--kv-unified"),
        *("--ctx-size", str(settings.context)),
        *("--threads", str(THREADS), "--threads-batch", str(THREADS)),
    ]
    if settings.embeds:
        command += ["--embedding", "--pooling", "mean"]
    with TemporaryFile() as log:
        started_s = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_healthy(process, host, int(port))
            yield Serving(
                address=address,
                engine=process.pid,
                front=None,
                started_s=started_s,
                ready_s=time.perf_counter(),
            )
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_healthy(process: "subprocess.Popen[bytes]", host: str, port: int) -> None:
    """Polls: llama-server answers /health with 503 while it loads."""
    deadline = time.perf_counter() + _LOADING_S
    while not _is_healthy(host, port):
        assert process.poll() is None, f"llama-server ended with {process.returncode}"
        assert time.perf_counter() < deadline, f"no word from llama-server in {_LOADING_S} s"
        time.sleep(_POLL_S)


def _is_healthy(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_address() -> str:
    """An address nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
