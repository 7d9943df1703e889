"""Command lines as a page shows them, and whether they still print what stands below them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

# Set where every tool must be there, as in CI: then a missing one fails instead of skipping.
REQUIRE_TOOLS = "CORRAL_REQUIRE_TOOLS"

_BLOCK = re.compile(r"^```console *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A command line, and what it prints: `...` is anything. Without any output it succeeds."""

    line: str
    output: str

    @property
    def tool(self) -> str:
        """The program whose output it is: the last of a pipe."""
        return self.line.rpartition("' | ")[2].split()[0]


@dataclass(frozen=True)
class Block:
    """Commands that are run one after another. `kind` is the word after `console`, often none."""

    heading: str
    kind: str
    commands: list[Command]


def read_blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for block in _BLOCK.finditer(text):
        heading = _HEADING.findall(text[: block.start()])[-1]
        yield Block(heading, block[1], list(_commands(block[2])))


def _commands(shown: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", shown, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def run_as_shown(command: Command, port: str, folder: Path, env: Mapping[str, str]) -> None:
    """Runs `command` against the server on `port` instead of 50051, and compares what it prints.

    Skips the test, or fails it where tools are required, if its tool is not installed.
    """
    if shutil.which(command.tool, path=env["PATH"]) is None:
        missing = f"{command.tool} is not installed: make tools"
        if os.environ.get(REQUIRE_TOOLS):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    line = command.line.replace("50051", port)
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=40,
    )
    if not (_matches(done.stdout, command.output) if command.output else done.returncode == 0):
        printed = f"$ {line}\n{done.stdout}"
        pytest.fail(f"{printed}\n-- where the page shows:\n{command.output}", pytrace=False)


def _matches(printed: str, shown: str) -> bool:
    """Whether the words are the same, whatever the space between them; `...` is any words."""
    words = [" ".join(part.split()) for part in shown.split("...")]
    pattern = ".*".join(re.escape(part) for part in words)
    return re.fullmatch(pattern, " ".join(printed.split())) is not None
