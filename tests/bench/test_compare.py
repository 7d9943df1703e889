"""Sides are measured strictly in turn, and a run that fails is kept as a fault."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.compare import compare
from bench.load.generator import GeneratorFailed
from bench.measure import CORRAL, LLAMA_SERVER
from bench.metrics import Measurement
from bench.servers import Settings
from bench.shapes import BenchModel

MODEL = BenchModel("none", Path("none"), range(1), ("a",))


@dataclass
class ScriptedWorkload:
    """Measures its own calls. `breaks`: the calls, from 1, in which the server is not there."""

    breaks: Sequence[int] = ()
    asked: list[tuple[str, int]] = field(default_factory=list)
    name: str = "scripted"
    about: str = "a script"
    settings: Settings = field(default_factory=lambda: Settings(slots=1, context=256))
    sides: tuple[str, ...] = (CORRAL, LLAMA_SERVER)

    def measure(self, side: str, model: BenchModel, seed: int) -> Measurement:
        self.asked.append((side, seed))
        if len(self.asked) in self.breaks:
            raise GeneratorFailed("nobody there")
        return Measurement({"calls": len(self.asked)})


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_sides_alternate_with_the_same_prompts_and_new_ones_each_repetition() -> None:
    workload = ScriptedWorkload()
    outcome = compare(workload, MODEL, 3, quiet())
    assert [side for side, _ in workload.asked] == [CORRAL, LLAMA_SERVER] * 3
    seeds = [seed for _, seed in workload.asked]
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 3
    assert outcome.series(LLAMA_SERVER, "calls") == {1: 2, 2: 4, 3: 6}


def test_a_run_that_fails_is_a_fault_and_the_others_go_on() -> None:
    outcome = compare(ScriptedWorkload(breaks=[3]), MODEL, 3, quiet())
    assert outcome.faults == ["corral: GeneratorFailed: nobody there"]
    assert outcome.series(CORRAL, "calls") == {1: 1, 3: 5}
