"""The numbers to reach, all of them, on a machine of two cores."""

from dataclasses import dataclass
from enum import Enum

from bench.measure import CEILING, CORRAL, LLAMA_SERVER
from bench.outcome import Outcome
from bench.spread import Spread, differences, ratios, spread


class Against(Enum):
    """What Corral's number is held against, in the same repetition."""

    LLAMA_SERVER = "x llama-server"
    CEILING = "x llama-batched-bench"
    OVER_LLAMA_SERVER = "over llama-server"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """The median must be at least, or at most, `bound`."""

    workload: str
    model: str
    metric: str
    at_least: bool
    bound: float
    against: Against = Against.LLAMA_SERVER

    @property
    def words(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g} {self.against.value}".strip()

    def reached(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def measured(self, outcome: Outcome) -> Spread | None:
        """None where there is no repetition that counts."""
        ours = outcome.series(CORRAL, self.metric)
        match self.against:
            case Against.LLAMA_SERVER:
                return ratios(ours, outcome.series(LLAMA_SERVER, self.metric))
            case Against.CEILING:
                return ratios(ours, outcome.series(CEILING, self.metric))
            case Against.OVER_LLAMA_SERVER:
                return differences(ours, outcome.series(LLAMA_SERVER, self.metric))
            case Against.NOTHING:
                return spread(list(ours.values())) if ours else None


GOALS = (
    Goal("independent-8", "small", "tokens_per_s", True, 1.05),
    Goal("independent-32", "small", "tokens_per_s", True, 1.08),
    Goal("independent-8", "small", "tokens_per_s", True, 0.97, Against.CEILING),
    Goal("independent-32", "small", "tokens_per_s", True, 0.97, Against.CEILING),
    Goal("independent-32", "small", "ttft_p50_ms", False, 0.65),
    Goal("independent-32", "small", "ttft_p99_ms", False, 1.05),
    Goal("independent-1", "tiny", "tokens_per_s", True, 1.0),
    Goal("independent-1", "small", "tokens_per_s", True, 1.0),
    Goal("independent-8", "qwen3-0.6b", "tokens_per_s", True, 1.0),
    Goal("shared", "small", "tokens_per_s", True, 3.0),
    Goal("shared", "small", "ttft_p99_ms", False, 0.2),
    Goal("multi-turn", "small", "ttft_p50_ms", False, 0.9),
    Goal("multi-turn", "small", "tokens_per_s", True, 1.05),
    Goal("intruder", "small", "gap_max_ms", False, 0.15),
    Goal("intruder", "small", "intruder_ttft_ms", False, 1.3),
    Goal("overload", "small", "tokens_per_s", True, 1.0),
    Goal("overload", "small", "ttft_p50_ms", False, 0.7),
    Goal("overload", "small", "refusal_p99_ms", False, 100, Against.NOTHING),
    Goal("embeddings", "demo", "texts_per_s", True, 1.05),
    Goal("embeddings", "small", "texts_per_s", True, 1.05),
    Goal("cold-start", "small", "ready_s", False, 1.3),
    Goal("independent-8", "small", "front_cpu_us_per_token", False, 60, Against.NOTHING),
    Goal("independent-32", "small", "front_cpu_us_per_token", False, 60, Against.NOTHING),
    Goal("idle", "small", "engine_rss_mb", False, 80, Against.OVER_LLAMA_SERVER),
)
