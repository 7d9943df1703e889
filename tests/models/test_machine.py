"""The machine's memory, and the limits a container puts on it."""

from pathlib import Path

import psutil

from corral_server.models.machine import read_memory


def test_without_cgroups_it_is_the_machines_own(tmp_path: Path) -> None:
    memory = read_memory(tmp_path, tmp_path / "none")
    assert memory.total == psutil.virtual_memory().total
    assert 0 < memory.free <= memory.total


def test_a_version_2_limit_counts_as_the_whole(tmp_path: Path) -> None:
    _write(tmp_path / "pod" / "memory.max", "1000000")
    _write(tmp_path / "pod" / "memory.current", "400000")
    memory = read_memory(tmp_path, _write(tmp_path / "membership", "0::/pod\n"))
    assert (memory.total, memory.free) == (1_000_000, 600_000)


def test_a_limit_further_up_counts_too(tmp_path: Path) -> None:
    _write(tmp_path / "memory.max", "5000")
    _write(tmp_path / "a" / "b" / "memory.max", "max")
    memory = read_memory(tmp_path, _write(tmp_path / "membership", "0::/a/b\n"))
    assert memory.total == 5000


def test_a_version_1_limit_counts_as_the_whole(tmp_path: Path) -> None:
    _write(tmp_path / "memory" / "docker" / "memory.limit_in_bytes", "2000000")
    _write(tmp_path / "memory" / "docker" / "memory.usage_in_bytes", "2500000")
    membership = _write(tmp_path / "membership", "4:cpu:/docker\n9:memory:/docker\n")
    memory = read_memory(tmp_path, membership)
    assert (memory.total, memory.free) == (2_000_000, 0)


def test_an_absurd_limit_means_none(tmp_path: Path) -> None:
    _write(tmp_path / "memory.max", str(2**63 - 1))
    memory = read_memory(tmp_path, _write(tmp_path / "membership", "0::/\n"))
    assert memory.total == psutil.virtual_memory().total


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
