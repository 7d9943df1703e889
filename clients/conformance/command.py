"""Running a program that may hang, print a lot, or have children."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended: the exit code, None where it was stopped, and what it wrote."""

    code: int | None
    stdout: str
    stderr: str

    @property
    def trouble(self) -> str:
        """What went wrong, with the end of what it wrote; empty if it went well."""
        if self.code == 0:
            return ""
        how = "it took too long" if self.code is None else f"exit code {self.code}"
        said = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return "\n".join([how, *said[-12:]])


def run_command(
    words: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout_s: float
) -> Result:
    """Runs the words as a command. What is left of it and its children at the end is killed."""
    with subprocess.Popen(
        words,
        cwd=folder,
        env={**_clean(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            code = None
    return Result(code, stdout, stderr)


def _clean() -> dict[str, str]:
    """Our environment without what it says about servers of this machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CORRAL_")}
