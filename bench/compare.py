"""Corral and llama-server, in turn: `python -m bench.compare --quick` or `--full`.

Repetition by repetition, each side of a workload is measured right after the other, on a server
started for it, with prompts that nobody has sent before. Ends with 1 where a run failed.
"""

import argparse
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from bench.load.generator import GeneratorFailed
from bench.machine import commit, this_machine
from bench.measure import Workload
from bench.metrics import Measurement
from bench.outcome import Outcome, Run
from bench.report import RESULTS, in_words, measured_goals, write_report
from bench.result import Result, print_table
from bench.shapes import NAMES, ROOT, BenchModel, bench_model
from bench.workloads import FULL, QUICK, REHEARSED, WORKLOADS

_QUICK_REPETITIONS, _FULL_REPETITIONS = 3, 5
_QUICK_RESULTS = ROOT / ".cache/bench"


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    # Whoever ends this process ends the servers it has started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(highlight=False, soft_wrap=True)
    options.into.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for name, model_name in _chosen(options):
        model = bench_model(model_name, console.print)
        outcome = compare(WORKLOADS[name], model, options.repetitions, console)
        outcome.write(options.into)
        outcomes.append(outcome)
    print_table(_results(outcomes))
    console.print(f"written: {write_report(options.into)}")
    faults = [f"{outcome.workload}, {fault}" for outcome in outcomes for fault in outcome.faults]
    for fault in faults:
        console.print(f"FAILED: {fault}")
    return 1 if faults else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="minutes; the default")
    extent.add_argument("--full", action="store_true", help="everything; about two hours")
    parser.add_argument(
        "--only", metavar="NAME,...", help="workloads of --full, or how their names begin"
    )
    parser.add_argument("--model", choices=NAMES, help="on this one, whatever is listed")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default 3, with --full 5")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where results are written")
    options = parser.parse_args(arguments)
    options.repetitions = options.repetitions or (
        _FULL_REPETITIONS if options.full else _QUICK_REPETITIONS
    )
    options.into = options.into or (RESULTS if options.full else _QUICK_RESULTS)
    return options


def _chosen(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Workloads and models, in order, none twice."""
    beginnings = tuple(options.only.split(",")) if options.only else ("",)
    pairs = FULL if options.full or options.only else QUICK
    chosen = [
        (name, options.model or model) for name, model in pairs if name.startswith(beginnings)
    ]
    return list(dict.fromkeys(chosen))


def compare(workload: Workload, model: BenchModel, repetitions: int, console: Console) -> Outcome:
    """All runs of a workload on a model, the sides in turn."""
    console.print(f"{workload.name}, {model.name}: {workload.about}")
    if workload.name in REHEARSED:
        for side in workload.sides:
            workload.measure(side, model, seed=0)
    runs = []
    for repetition in range(1, repetitions + 1):
        seed = zlib.crc32(f"{workload.name} {model.name} {repetition}".encode())
        for side in workload.sides:
            measurement = _measure(workload, side, model, seed)
            runs.append(
                Run(
                    side=side,
                    repetition=repetition,
                    metrics=measurement.metrics,
                    faults=measurement.faults,
                )
            )
            console.print(f"  {repetition} {side:13}{_headline(measurement)}")
    return Outcome(
        workload=workload.name,
        model=model.name,
        about=workload.about,
        slots=workload.settings.slots,
        context=workload.settings.context,
        machine=this_machine(),
        commit=commit(),
        runs=runs,
    )


def _measure(workload: Workload, side: str, model: BenchModel, seed: int) -> Measurement:
    """One run; a server or a load generator that fails is a fault of the run."""
    try:
        return workload.measure(side, model, seed)
    except (AssertionError, GeneratorFailed, OSError, subprocess.SubprocessError) as error:
        return Measurement(faults=[f"{type(error).__name__}: {error}"])


def _headline(measurement: Measurement) -> str:
    """The first few numbers, or what went wrong."""
    if measurement.faults:
        return f"FAILED: {'; '.join(measurement.faults)}"
    first = list(measurement.metrics.items())[:4]
    return ", ".join(f"{name} {value:.4g}" for name, value in first)


def _results(outcomes: Sequence[Outcome]) -> Iterator[Result]:
    for goal, measured in measured_goals(outcomes):
        what = f"{goal.workload}, {goal.model}: {goal.metric}"
        yield Result(what, in_words(measured), goal.words, goal.reached(measured.median))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
