"""One run of one workload on one side: starts the server, loads it, reads the clocks, stops it.

Only one server runs at a time, so that none takes processor, memory bandwidth or cache from the
one that is measured.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import psutil

from bench import servers
from bench.batched_bench import Ceiling
from bench.load.generator import load_generator
from bench.load.plan import Embedded, EmbedPlan, Plan, Seen
from bench.metrics import Measurement, of_answers, of_embeddings
from bench.process import cpu_s, machine_cpu_s, peak_rss
from bench.prompts import Prompts
from bench.servers import Serving, Settings, free_address
from bench.shapes import BenchModel

CORRAL, LLAMA_SERVER, CEILING = "corral", "llama-server", "ceiling"
_START = {CORRAL: servers.corral, LLAMA_SERVER: servers.llama_server}


class Workload(Protocol):
    """Something both servers are put through. `about`: one sentence of what it is."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def sides(self) -> tuple[str, ...]:
        """What is measured in turn, in this order."""

    def measure(self, side: str, model: BenchModel, seed: int) -> Measurement:
        """One run. The same seed makes the same prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Answers under a plan. `ceiling`: what the same tokens would take without a server."""

    name: str
    about: str
    settings: Settings
    plan: Callable[[Prompts], Plan]
    reduce: Callable[[Seen], Measurement] = of_answers
    ceiling: Ceiling | None = None

    @property
    def sides(self) -> tuple[str, ...]:
        return (CORRAL, LLAMA_SERVER, *((CEILING,) if self.ceiling else ()))

    def measure(self, side: str, model: BenchModel, seed: int) -> Measurement:
        if side == CEILING:
            assert self.ceiling is not None
            return Measurement({"tokens_per_s": self.ceiling.measure(model, self.settings)})
        seen, used = _under_load(side, model, self.settings, self.plan(Prompts(model, seed)))
        assert isinstance(seen, Seen)
        measurement = self.reduce(seen)
        tokens = sum(answer.tokens for wave in seen.waves for answer in wave)
        return Measurement(measurement.metrics | used.per("token", tokens), measurement.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Vectors of many texts, `least` to `most` tokens each, asked for with one call."""

    name: str
    about: str
    settings: Settings
    texts: int
    least: int
    most: int
    sides: tuple[str, ...] = (CORRAL, LLAMA_SERVER)

    def measure(self, side: str, model: BenchModel, seed: int) -> Measurement:
        prompts = Prompts(model, seed)
        lengths = prompts.lengths(self.texts, self.least, self.most)
        texts = [prompts.text(length) for length in lengths]
        plan = EmbedPlan(texts=texts, warm_up=[prompts.text(self.most) for _ in range(16)])
        embedded, used = _under_load(side, model, self.settings, plan)
        assert isinstance(embedded, Embedded)
        measurement = of_embeddings(embedded, self.texts, sum(lengths))
        return Measurement(measurement.metrics | used.per("text", self.texts), measurement.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """From the start of the process to where it answers, and to a first token. The files are in
    the page cache."""

    name: str
    about: str
    settings: Settings
    plan: Callable[[Prompts], Plan]
    sides: tuple[str, ...] = (CORRAL, LLAMA_SERVER)

    def measure(self, side: str, model: BenchModel, seed: int) -> Measurement:
        plan, address = self.plan(Prompts(model, seed)), free_address()
        with load_generator(side, address, plan) as generator:
            generator.wait_until_ready()
            with _START[side](model, self.settings, address) as serving:
                seen = generator.play()
        assert isinstance(seen, Seen)
        ((answer,),) = seen.waves
        measurement = of_answers(seen)
        if measurement.faults:
            return measurement
        return Measurement(
            {
                "ready_s": serving.ready_s - serving.started_s,
                "first_token_s": answer.arrivals[0][0] - serving.started_s,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What a loaded server takes while nobody asks, after it has answered once."""

    name: str
    about: str
    settings: Settings
    plan: Callable[[Prompts], Plan]
    settle_s: float
    idle_s: float
    sides: tuple[str, ...] = (CORRAL, LLAMA_SERVER)

    def measure(self, side: str, model: BenchModel, seed: int) -> Measurement:
        plan, address = self.plan(Prompts(model, seed)), free_address()
        with (
            _START[side](model, self.settings, address) as serving,
            load_generator(side, address, plan) as generator,
        ):
            generator.wait_until_ready()
            seen = generator.play()
            assert isinstance(seen, Seen)
            time.sleep(self.settle_s)
            before = _Clocks.read(serving)
            time.sleep(self.idle_s)
            used = _Clocks.read(serving).since(before)
            return Measurement(
                {
                    "engine_cpu_ms_per_s": used.engine_s * 1000 / used.now_s,
                    "front_cpu_ms_per_s": used.front_s * 1000 / used.now_s,
                    "engine_rss_mb": _rss_mb(serving.engine),
                    "front_rss_mb": _rss_mb(serving.front) if serving.front else 0,
                },
                of_answers(seen).faults,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clocks:
    """The time, and processor time used so far: by the server's processes, and by all."""

    now_s: float
    engine_s: float
    front_s: float
    machine_s: float

    @classmethod
    def read(cls, serving: Serving) -> "_Clocks":
        return cls(
            now_s=time.perf_counter(),
            engine_s=cpu_s(serving.engine),
            front_s=cpu_s(serving.front) if serving.front else 0,
            machine_s=machine_cpu_s(),
        )

    def since(self, before: "_Clocks") -> "_Clocks":
        return _Clocks(
            now_s=self.now_s - before.now_s,
            engine_s=self.engine_s - before.engine_s,
            front_s=self.front_s - before.front_s,
            machine_s=self.machine_s - before.machine_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Used:
    """What a run took: processor time, the load generator's too, and the most memory each of the
    server's processes ever had."""

    clocks: _Clocks
    client_s: float
    engine_peak: int
    front_peak: int

    def per(self, unit: str, count: int) -> dict[str, float]:
        """As metrics, for so many of a unit.

        `others_cpu_ratio`: the part of the machine that nobody in this measurement used, but
        somebody did. Where it is not near 0, numbers are of a machine that was busy otherwise.
        """
        clocks = self.clocks
        others_s = clocks.machine_s - clocks.engine_s - clocks.front_s - self.client_s
        return {
            f"engine_cpu_us_per_{unit}": clocks.engine_s / max(count, 1) * 1e6,
            f"front_cpu_us_per_{unit}": clocks.front_s / max(count, 1) * 1e6,
            f"client_cpu_us_per_{unit}": self.client_s / max(count, 1) * 1e6,
            "others_cpu_ratio": max(others_s, 0) / clocks.now_s / (psutil.cpu_count() or 1),
            "engine_peak_rss_mb": self.engine_peak / 1e6,
            "front_peak_rss_mb": self.front_peak / 1e6,
        }


def _under_load(
    side: str, model: BenchModel, settings: Settings, plan: Plan | EmbedPlan
) -> tuple[Seen | Embedded, _Used]:
    with (
        _START[side](model, settings, free_address()) as serving,
        load_generator(side, serving.address, plan) as generator,
    ):
        generator.wait_until_ready()
        before = _Clocks.read(serving)
        seen = generator.play()
        used = _Used(
            clocks=_Clocks.read(serving).since(before),
            client_s=seen.cpu_s,
            engine_peak=peak_rss(serving.engine),
            front_peak=peak_rss(serving.front) if serving.front else 0,
        )
    return seen, used


def _rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6
