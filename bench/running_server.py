"""`corral serve` as a user starts it: a process of its own on a free port."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_SERVING = re.compile(r"Corral serves .* on (\S+)\. Ctrl-C stops it\.")


@dataclass
class RunningServer:
    """`lines` holds what it has printed so far, its log included."""

    process: subprocess.Popen[str]
    address: str = ""
    lines: list[str] = field(default_factory=list)
    _greeted: threading.Event = field(default_factory=threading.Event)

    @property
    def pid(self) -> int:
        return self.process.pid

    def engine_pids(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.pid).children()]

    def read_output(self) -> None:
        """Reads until the process ends, on a thread of its own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if serving := _SERVING.search(line):
                self.address = serving.group(1)
                self._greeted.set()
        self._greeted.set()

    def wait_until_serving(self, deadline_s: float) -> None:
        self._greeted.wait(deadline_s)
        assert self.address, "\n".join(self.lines) or f"no word from the server in {deadline_s} s"

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def running_server(
    *arguments: str, address: str = "127.0.0.1:0", deadline_s: float = 30
) -> Iterator[RunningServer]:
    """A server that has loaded its models; `arguments` are those of `corral serve`."""
    corral = Path(sys.executable).with_name("corral")
    process = subprocess.Popen(
        [str(corral), "serve", "--address", address, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Compiled modules stay, as on a user's machine, so that a second start is one.
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""},
    )
    server = RunningServer(process)
    reader = threading.Thread(target=server.read_output)
    reader.start()
    try:
        server.wait_until_serving(deadline_s)
        yield server
    finally:
        server.stop()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()
