"""The machine's memory, as far as this process may use it."""

from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MachineMemory:
    """Bytes; a cgroup's limit counts as the whole."""

    total: int
    free: int


def read_memory(
    cgroups: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")
) -> MachineMemory:
    """The memory there is now."""
    memory = psutil.virtual_memory()
    total, free = int(memory.total), int(memory.available)
    for limit, used in _cgroup_limits(cgroups, membership):
        if limit < total:
            total, free = limit, min(free, max(limit - used, 0))
    return MachineMemory(total, free)


def _cgroup_limits(cgroups: Path, membership: Path) -> list[tuple[int, int]]:
    """The (limit, used) of this process's cgroup and of all above it, where there are any."""
    limits: list[tuple[int, int]] = []
    for folder, limit_name, used_name in _folders(cgroups, membership):
        limit, used = _read(folder / limit_name), _read(folder / used_name)
        if limit is not None:
            limits.append((limit, used or 0))
    return limits


def _folders(cgroups: Path, membership: Path) -> list[tuple[Path, str, str]]:
    """Where limits may stand, for cgroups of both versions."""
    folders: list[tuple[Path, str, str]] = []
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = cgroups, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            base = cgroups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        inner = base / path.strip("/")
        folders += [
            (folder, *names) for folder in (inner, *inner.parents) if _is_below(folder, base)
        ]
    return folders


def _is_below(folder: Path, base: Path) -> bool:
    return folder == base or base in folder.parents


def _read(file: Path) -> int | None:
    """A number; None where the file is missing or says `max`."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
