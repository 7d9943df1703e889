"""Two models that answer at the same time on the same cores, each with as many threads as cores.

    python -m bench.neighbours

Each model has a server of its own: Corral's, then llama-server, in turn. Counted is the time in
which all answers of both models run.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from statistics import median, quantiles

from bench import servers
from bench.load.generator import Generator, load_generator
from bench.load.plan import Answer, Plan, Seen
from bench.prompts import Prompts
from bench.result import Result, print_table
from bench.servers import Settings, free_address
from bench.shapes import BenchModel, bench_model

_START = {"corral": servers.corral, "llama-server": servers.llama_server}
_REPETITIONS = 3
_STREAMS = 4
_PROMPT = 90
# The tokens of an answer. The faster model has more, so that the other one has somebody beside it.
_MODELS = {"small": 300, "tiny": 1500}
_SETTINGS = Settings(slots=_STREAMS, context=8192)

Metrics = dict[str, float]


def measure(side: str, seed: int) -> Metrics:
    """Of each model, tokens per second, and the 99th percentile between tokens, ms."""
    with ExitStack() as running:
        generators = [running.enter_context(_loaded(side, name, seed)) for name in _MODELS]
        with ThreadPoolExecutor(len(generators)) as threads:
            seen = list(threads.map(_answers, generators))
    began_s = max(answer.arrivals[0][0] for answers in seen for answer in answers)
    ended_s = min(answer.arrivals[-1][0] for answers in seen for answer in answers)
    metrics: Metrics = {}
    for name, answers in zip(_MODELS, seen, strict=True):
        metrics |= _of_model(name, answers, began_s, ended_s)
    return metrics


@contextmanager
def _loaded(side: str, name: str, seed: int) -> Iterator[Generator]:
    model: BenchModel = bench_model(name, print)
    prompts = Prompts(model, seed)
    plan = Plan(
        waves=[prompts.wave(_STREAMS, length=_PROMPT, max_tokens=_MODELS[name])],
        warm_up=prompts.warm_up(_STREAMS),
    )
    with (
        _START[side](model, _SETTINGS, free_address()) as serving,
        load_generator(side, serving.address, plan) as generator,
    ):
        generator.wait_until_ready()
        yield generator


def _answers(generator: Generator) -> list[Answer]:
    seen = generator.play()
    assert isinstance(seen, Seen)
    (answers,) = seen.waves
    assert not any(answer.error or answer.refusal for answer in answers)
    return answers


def _of_model(name: str, answers: list[Answer], began_s: float, ended_s: float) -> Metrics:
    tokens = 0
    gaps: list[float] = []
    for answer in answers:
        arrivals = [seen for seen in answer.arrivals if began_s <= seen[0] <= ended_s]
        tokens += arrivals[-1][1] - arrivals[0][1]
        gaps += (later[0] - earlier[0] for earlier, later in pairwise(arrivals))
    return {
        f"{name}: tokens per second": tokens / (ended_s - began_s),
        f"{name}: ms between tokens, p99": quantiles(gaps, n=100)[98] * 1000,
    }


def main() -> int:
    runs: dict[str, list[Metrics]] = {side: [] for side in _START}
    for seed in range(_REPETITIONS):
        for side in _START:
            runs[side].append(measure(side, seed))
    corral, llama = runs.values()
    results = []
    for metric in corral[0]:
        ours, theirs = ([run[metric] for run in side] for side in (corral, llama))
        ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
        measured = f"{median(ours):.1f}, llama-server {median(theirs):.1f}: {ratio:.2f}x"
        results.append(Result(metric, measured))
    return 0 if print_table(results) else 1


if __name__ == "__main__":
    sys.exit(main())
