"""Results as one page of Markdown: `python -m bench.report [FOLDER]` writes it anew."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.goals import GOALS, Goal
from bench.measure import CEILING, CORRAL, LLAMA_SERVER
from bench.outcome import Outcome, read_outcomes
from bench.plots import write_plots
from bench.shapes import ROOT
from bench.spread import Spread, ratios, spread
from bench.workloads import WORKLOADS

RESULTS = ROOT / "bench/results"
_OTHERS = "others_cpu_ratio"
_SIDES = (CORRAL, LLAMA_SERVER, CEILING)


def write_report(folder: Path) -> Path:
    """From the results in `folder`, with plots where matplotlib is installed."""
    names = list(WORKLOADS)
    outcomes = sorted(
        read_outcomes(folder), key=lambda outcome: (names.index(outcome.workload), outcome.model)
    )
    plots = write_plots(outcomes, folder)
    path = folder / "report.md"
    path.write_text("\n".join(report(outcomes, plots)) + "\n")
    return path


def measured_goals(outcomes: Sequence[Outcome]) -> Iterator[tuple[Goal, Spread]]:
    """The goals that something was measured for, each with what was measured."""
    by_name = {(outcome.workload, outcome.model): outcome for outcome in outcomes}
    for goal in GOALS:
        outcome = by_name.get((goal.workload, goal.model))
        measured = outcome and goal.measured(outcome)
        if measured:
            yield goal, measured


def report(outcomes: Sequence[Outcome], plots: Sequence[Path]) -> Iterator[str]:
    """The lines of the page."""
    yield "# Corral beside llama-server"
    yield ""
    for conditions in dict.fromkeys(_conditions(outcome) for outcome in outcomes):
        yield f"Measured on {conditions}."
    yield "Values are medians, with the least and the greatest; ratios are of the same repetition."
    busy = [run.metrics.get(_OTHERS, 0) for outcome in outcomes for run in outcome.runs]
    yield f"Other processes took {max(busy, default=0):.0%} of the machine in the worst run."
    yield ""
    yield from _goals(outcomes)
    for plot in plots:
        yield from (f"![{plot.stem}]({plot.name})", "")
    for outcome in outcomes:
        yield from _workload(outcome)


def _conditions(outcome: Outcome) -> str:
    machine = outcome.machine
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gb} GB; {machine.software};"
        f" commit {outcome.commit}"
    )


def _goals(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield from ("| workload | model | | goal | measured | reached |", "|---|---|---|---|---|---|")
    for goal, measured in measured_goals(outcomes):
        reached = "yes" if goal.reached(measured.median) else "**no**"
        yield (
            f"| {goal.workload} | {goal.model} | {goal.metric} | {goal.words} |"
            f" {in_words(measured)} | {reached} |"
        )
    yield ""


def _workload(outcome: Outcome) -> Iterator[str]:
    yield f"## {outcome.workload}, {outcome.model}"
    yield ""
    yield (
        f"{outcome.about[0].upper()}{outcome.about[1:]}."
        f" {outcome.slots} slots, a cache of {outcome.context} tokens,"
        f" {len({run.repetition for run in outcome.runs})} repetitions."
    )
    yield ""
    if outcome.faults:
        yield "Runs that failed, and do not count:"
        yield from (f"- {fault}" for fault in outcome.faults)
        yield ""
    sides = [side for side in _SIDES if any(run.side == side for run in outcome.runs)]
    yield f"| | {' | '.join(sides)} | ratio |"
    yield f"|---|{'---|' * len(sides)}---|"
    for metric in dict.fromkeys(name for run in outcome.runs for name in run.metrics):
        series = [outcome.series(side, metric) for side in sides]
        cells = [in_words(spread(list(values.values()))) if values else "" for values in series]
        ratio = ratios(outcome.series(CORRAL, metric), outcome.series(LLAMA_SERVER, metric))
        yield f"| {metric} | {' | '.join(cells)} | {in_words(ratio) if ratio else ''} |"
    yield ""


def in_words(values: Spread) -> str:
    """Three digits, and the two ends where they differ."""
    median, least, greatest = map(_digits, (values.median, values.least, values.greatest))
    return median if least == greatest else f"{median} ({least} to {greatest})"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.stdout.write(f"{write_report(Path(sys.argv[1]) if sys.argv[1:] else RESULTS)}\n")
