"""What each wrapper costs: 10,000 messages through it and through its stub."""

import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.conformance.language import HERE, Language
from clients.conformance.servers import overhead_server

RESULTS = HERE.parents[1] / "bench/results/wrapper-overhead.md"
MESSAGES = 10_000
GOAL = 0.05


@dataclass(frozen=True, slots=True)
class Overhead:
    """Microseconds a message, in the fastest of the runs, through the stub and the wrapper. What
    slows a run is somebody else on the machine."""

    language: str
    raw_us: float
    wrapper_us: float

    @property
    def part(self) -> float:
        """What the wrapper adds, as a part of what the stub takes."""
        return self.wrapper_us / self.raw_us - 1

    def cells(self) -> tuple[str, ...]:
        return (
            self.language,
            f"{self.raw_us:.2f}",
            f"{self.wrapper_us:.2f}",
            f"{self.wrapper_us - self.raw_us:+.2f}",
            f"{self.part:+.1%}",
        )


_HEAD = ("language", "stub, us", "wrapper, us", "difference, us", "difference")


def measure_overhead(languages: Sequence[Language], console: Console, *, write: bool) -> bool:
    """Builds, measures, prints; with `write`, to bench/results/wrapper-overhead.md too. Returns
    whether all could be measured."""
    measured = []
    for language in languages:
        console.print(f"{language.name}: building and measuring")
        trouble = language.compile()
        found = None if trouble else _measure(language)
        if isinstance(found, Overhead):
            measured.append(found)
        else:
            console.print(f"[red]{language.name}:[/] {escape(trouble or found or '')}")
    table = Table(*_HEAD)
    for overhead in measured:
        table.add_row(*overhead.cells())
    console.print(table)
    if write:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(_page(measured))
    return len(measured) == len(languages)


def _measure(language: Language) -> Overhead | str:
    """What it costs, or what went wrong."""
    with tempfile.TemporaryDirectory() as directory, overhead_server() as environment:
        path = Path(directory, "report.jsonl")
        result = language.run_conformance({**environment, "CORRAL_REPORT": str(path)}, "overhead")
        if result.trouble:
            return result.trouble
        said = json.loads(path.read_text())
    raw_s, wrapper_s = (min(said[name]) for name in ("raw_s", "wrapper_s"))
    return Overhead(language.name, raw_s / MESSAGES * 1e6, wrapper_s / MESSAGES * 1e6)


def _page(measured: Sequence[Overhead]) -> str:
    lines = [
        "# What the wrappers cost",
        "",
        f"Time for one of {MESSAGES:,} streamed messages, through the generated stub and through",
        "the wrapper on the same channel: the fastest of five runs each, in turn. The server sends",
        "bytes that are there already, faster than any client reads: all of this is the client's",
        f"own time. The goal is below {GOAL:.0%}. A model takes milliseconds for a token.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'---|' * len(_HEAD)}",
        *(f"| {' | '.join(overhead.cells())} |" for overhead in measured),
        "",
        f"Measured with `python -m clients.conformance.run --overhead` on {platform.system()}",
        f"{platform.machine()}.",
    ]
    return "\n".join(lines) + "\n"
