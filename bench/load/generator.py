"""A load generator's process, from the side of the one who starts it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import IO

import msgspec

from bench.load.plan import Embedded, EmbedPlan, Plan, Seen
from bench.shapes import ROOT

_PROGRAM = ROOT / "bench/generator/target/release/corral-bench-generator"

# It gives up on an answer after 300 seconds.
_DEADLINE_S = 600.0


class GeneratorFailed(Exception):
    """The load generator ended without having seen anything."""


@dataclass
class Generator:
    """Takes its plan when it is started. `wait_until_ready`, then `play`, each once."""

    _process: "subprocess.Popen[bytes]"
    _input: IO[bytes]
    _output: IO[bytes]

    def wait_until_ready(self) -> None:
        """Until the warm-up is over."""
        self._read_line()

    def play(self) -> Seen | Embedded:
        self._input.write(b"go\n")
        self._input.flush()
        return msgspec.json.decode(self._read_line(), type=Seen | Embedded)

    def _read_line(self) -> bytes:
        line = self._output.readline()
        if not line:
            raise GeneratorFailed(f"the load generator ended with {self._process.wait()}")
        return line


@contextmanager
def load_generator(kind: str, address: str, plan: Plan | EmbedPlan) -> Iterator[Generator]:
    """A generator for a `kind` of server, corral or llama-server. Killed if it takes too long."""
    if not _PROGRAM.exists():
        sys.exit("the load generator is not built: make bench-generator")
    command = [str(_PROGRAM), kind, address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    watchdog = Timer(_DEADLINE_S, process.kill)
    watchdog.start()
    try:
        process.stdin.write(msgspec.json.encode(plan) + b"\n")
        process.stdin.flush()
        yield Generator(process, process.stdin, process.stdout)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
