"""`python -m contract` writes what follows from the contract, and `--check` says what does not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contract.descriptors import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the contract and all that belongs to it."""
    for folder in ("contract", "proto"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "contract.md", tmp_path / "docs")
    return tmp_path


def run(tree: Path, *arguments: str) -> tuple[int, list[str]]:
    """The exit code and the lines on stderr."""
    command = [sys.executable, "-m", "contract", *arguments]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=50)
    return done.returncode, done.stderr.splitlines()


def test_this_tree_is_current_and_keeps_its_promises() -> None:
    assert run(ROOT, "--check") == (0, [])


def test_an_addition_is_stale_until_it_is_written(tree: Path) -> None:
    usage = tree / "proto" / "corral" / "v1" / "usage.proto"
    late = "message Usage {\n  // Later.\n  int32 late = 90;"
    usage.write_text(usage.read_text().replace("message Usage {", late))
    assert run(tree, "--check") == (
        1,
        [
            "proto/corral-v1.binpb is not current: make proto",
            "docs/contract.md is not current: make proto",
            "corral.v1.Usage.late has no golden bytes",
        ],
    )
    assert run(tree) == (0, [])
    assert run(tree, "--check") == (0, [])
    assert (tree / "proto" / "golden" / "corral.v1.Usage.late.binpb").exists()


def test_what_is_missing_is_not_current(tree: Path) -> None:
    (tree / "docs" / "contract.md").unlink()
    assert run(tree, "--check") == (1, ["docs/contract.md is not current: make proto"])


def test_a_break_is_named_with_the_release_it_breaks(tree: Path) -> None:
    chat = tree / "proto" / "corral" / "v1" / "chat.proto"
    chat.write_text(chat.read_text().replace("string tool_call_id = 4", "bytes tool_call_id = 4"))
    code, faults = run(tree, "--check")
    assert code == 1
    (fault,) = (fault for fault in faults if fault.startswith("v0.1.0: corral/v1/chat.proto:"))
    assert 'changed type from "string" to "bytes"' in fault
