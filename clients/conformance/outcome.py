"""What came of an example or a case, and of all of them in one client."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from clients.conformance.command import Result
from clients.conformance.language import HERE

EXAMPLES = ("generate", "chat", "embed", "models")
_CASE = re.compile(r"^\d+\. `(\w+)`", re.MULTILINE)
_PROGRESS = re.compile(r"^(LOAD_STAGE_\w+) \d+%$")

CASES = tuple(_CASE.findall((HERE / "CASES.md").read_text()))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it went as it must, and a word about it for a person."""

    ok: bool
    detail: str = ""


# By the name of a row: an example's or a case's.
Outcomes: TypeAlias = Mapping[str, Outcome]


@dataclass(frozen=True, slots=True)
class Report:
    """A client's outcomes; `skipped` says why there are none."""

    language: str
    outcomes: Outcomes = field(default_factory=dict)
    skipped: str = ""

    def outcome(self, row: str) -> Outcome:
        return self.outcomes.get(row, Outcome(False, "no word of it"))

    @property
    def failed(self) -> list[str]:
        return [] if self.skipped else [row for row in rows() if not self.outcome(row).ok]


def rows() -> list[str]:
    """Everything each client must do, in order."""
    return [*(example_row(name) for name in EXAMPLES), *CASES]


def example_row(name: str) -> str:
    return f"example {name}"


def failed_build(trouble: str) -> Outcomes:
    return dict.fromkeys(rows(), Outcome(False, f"not built: {trouble}"))


def judge_example(name: str, result: Result) -> Outcome:
    """Compares what an example printed with what it must print."""
    if result.trouble:
        return Outcome(False, result.trouble)
    wanted = (HERE / "expected" / f"{name}.txt").read_text().splitlines()
    printed = _evened(result.stdout)
    for number, (line, want) in enumerate(zip(printed, wanted, strict=False), 1):
        if line != want:
            return Outcome(False, f"line {number} is {line!r}, not {want!r}")
    if len(printed) != len(wanted):
        return Outcome(False, f"{len(printed)} lines, not {len(wanted)}")
    return Outcome(True)


def _evened(printed: str) -> list[str]:
    """The lines, with all that is said of one stage of a load as one."""
    lines: list[str] = []
    for line in printed.splitlines():
        evened = _PROGRESS.sub(r"\1", line)
        if evened == line or evened not in lines[-1:]:
            lines.append(evened)
    return lines


def read_cases(path: Path, result: Result) -> Outcomes:
    """The lines a conformance program wrote. A case without one has failed as the program did."""
    lines = path.read_text().splitlines() if path.exists() else []
    found: dict[str, Outcome] = {}
    for line in lines:
        said = json.loads(line)
        found[said["case"]] = Outcome(said["ok"] is True, str(said["detail"]))
    for case in CASES:
        found.setdefault(case, Outcome(False, result.trouble or "the program wrote no line of it"))
    return found
