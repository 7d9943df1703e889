"""The gate: no edit breaks what the contract promised before.

What was promised is in the tree itself, one descriptor set per release, so the gate needs neither
network nor history. In a clone it also looks at what was committed.
"""

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from contract.descriptors import PROTO, compile_contract

BUF = Path(sys.executable).with_name("buf")
# What is committed, best first: a tag is a promise to everybody, a branch to those who follow it.
_TIPS = ("refs/remotes/origin/main", "refs/heads/main", "HEAD")


def broken_promises(proto: Path = PROTO) -> list[str]:
    """A sentence for each thing the files in `proto` break; none if they only add.

    Raises RuntimeError where that cannot be told, because they do not compile, say.
    """
    faults = []
    for released in sorted((proto / "released").glob("*.binpb")):
        faults += [f"{released.stem}: {line}" for line in _breaks(proto, released)]
    with TemporaryDirectory() as folder:
        committed = Path(folder)
        if ref := _check_out(proto, committed):
            (committed / "set.binpb").write_bytes(compile_contract(committed))
            lines = _breaks(proto, committed / "set.binpb") + _changed_golden(proto, committed)
            faults += [f"{ref}: {line}" for line in lines]
    return faults


def _breaks(proto: Path, against: Path) -> list[str]:
    """What buf finds that callers of `against`, a descriptor set, would lose.

    Files of others that a set brings are none of our promises.
    """
    command = [str(BUF), "breaking", "--path", "corral", "--against", str(against)]
    done = subprocess.run(command, cwd=proto, capture_output=True, text=True, timeout=60)
    if done.returncode not in (0, 100):
        raise RuntimeError(f"buf breaking --against {against}: {done.stderr.strip()}")
    return done.stdout.splitlines()


def _changed_golden(proto: Path, committed: Path) -> list[str]:
    """Golden files that are gone or differ: they are written once."""
    kept = sorted((committed / "golden").glob("*"))
    now = {file.name: file.read_bytes() for file in (proto / "golden").glob("*")}
    changed = [file.name for file in kept if now.get(file.name) != file.read_bytes()]
    return [f"golden/{name} was kept for ever, and has changed" for name in changed]


def _check_out(proto: Path, folder: Path) -> str | None:
    """Writes the committed `proto` into `folder`; returns what it is of, None outside a clone."""
    tag = _git(proto, "describe", "--tags", "--abbrev=0", "--match=v*")
    for ref in [tag.decode().strip()] if tag else _TIPS:
        # In a folder below the top, git archives this folder alone.
        if archive := _git(proto, "archive", "--format=tar", ref):
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(folder, filter="data")
            return ref
    return None


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints, None where it fails or is not there."""
    try:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
