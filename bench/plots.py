"""Two figures: the paired ratios of every workload, and rates beside their ceiling."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.goals import GOALS, Against
from bench.measure import CEILING, CORRAL, LLAMA_SERVER
from bench.outcome import Outcome
from bench.spread import ratios

_INK, _MUTED, _FAINT = "#1a1a1a", "#767676", "#e4e4e4"
_COLOURS = {CORRAL: "#0b6e4f", LLAMA_SERVER: "#b4542d", CEILING: "#9a9a9a"}


def write_plots(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """The figures there is something to show in; none where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return []
    import matplotlib

    matplotlib.use("agg")
    drawn = [_draw_ratios(outcomes, folder), _draw_rates(outcomes, folder)]
    return [path for path in drawn if path]


def _draw_ratios(outcomes: Sequence[Outcome], folder: Path) -> Path | None:
    """Each goal that is a ratio to llama-server: median, range, and the bound beside it."""
    by_name = {(outcome.workload, outcome.model): outcome for outcome in outcomes}
    rows = [
        (goal, measured)
        for goal in GOALS
        if goal.against is Against.LLAMA_SERVER
        and (outcome := by_name.get((goal.workload, goal.model)))
        and (measured := goal.measured(outcome))
    ]
    if not rows:
        return None
    figure, axes = _figure(height=0.42 * len(rows) + 1.2)
    for place, (goal, measured) in enumerate(reversed(rows)):
        colour = _COLOURS[CORRAL if goal.reached(measured.median) else LLAMA_SERVER]
        axes.plot([measured.least, measured.greatest], [place, place], color=colour, linewidth=2)
        axes.plot([measured.median], [place], "o", color=colour, markersize=6)
        axes.plot([goal.bound], [place], "|", color=_INK, markersize=13)
    names = [f"{goal.workload}, {goal.model}: {goal.metric}" for goal, _ in reversed(rows)]
    axes.set_yticks(range(len(rows)), names)
    axes.set_xscale("log")
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color=_MUTED, linewidth=0.8)
    axes.set_title("Corral to llama-server: median, range and | the goal", loc="left", color=_INK)
    return _save(figure, folder / "ratios.png")


def _draw_rates(outcomes: Sequence[Outcome], folder: Path) -> Path | None:
    """Tokens per second where there is a ceiling: each side as a part of it."""
    shown = [outcome for outcome in outcomes if outcome.series(CEILING, "tokens_per_s")]
    if not shown:
        return None
    figure, axes = _figure(height=0.6 * len(shown) + 1.4)
    for place, outcome in enumerate(reversed(shown)):
        ceiling = outcome.series(CEILING, "tokens_per_s")
        for offset, side in ((0.18, CORRAL), (-0.18, LLAMA_SERVER)):
            part = ratios(outcome.series(side, "tokens_per_s"), ceiling)
            if part:
                label = side if place == 0 else None
                colour = _COLOURS[side]
                axes.barh(place + offset, part.median, height=0.32, color=colour, label=label)
                axes.plot([part.least, part.greatest], [place + offset] * 2, color=_INK)
    names = [f"{outcome.workload}, {outcome.model}" for outcome in reversed(shown)]
    axes.set_yticks(range(len(shown)), names)
    axes.axvline(1, color=_MUTED, linewidth=0.8)
    axes.legend(frameon=False, loc="lower right")
    axes.set_title("Tokens per second, as a part of llama-batched-bench's", loc="left", color=_INK)
    return _save(figure, folder / "rates.png")


def _figure(*, height: float) -> tuple[Any, Any]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, height))
    axes.grid(axis="x", color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure.tight_layout()
    # No date and no version: the same numbers make the same file.
    figure.savefig(path, dpi=144, metadata={"Software": None})
    pyplot.close(figure)
    return path
