"""What numbers were measured on, and of what: enough to judge them, nothing that names a place."""

import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil

from bench.shapes import ROOT

_MODEL_NAME = re.compile(r"^model name\s*: (.+)$", re.M)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """`cores`: those this process may use. `software`: versions that count."""

    processor: str
    cores: int
    memory_gb: int
    software: str


def this_machine() -> Machine:
    named = _MODEL_NAME.search(Path("/proc/cpuinfo").read_text())
    return Machine(
        processor=named.group(1).strip() if named else platform.machine(),
        cores=len(psutil.Process().cpu_affinity()),
        memory_gb=round(psutil.virtual_memory().total / 1e9),
        software=f"{platform.system()} {platform.release().partition('-')[0]},"
        f" Python {platform.python_version()}, llama-cpp-python {version('llama-cpp-python')}",
    )


def commit() -> str:
    """The commit that is checked out, and whether what is measured differs from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", "server", "clients/python", "proto", "bench/*.py")
    return f"{head} with changes" if changed else head


def _git(*arguments: str) -> str:
    asked = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return asked.stdout.strip()
