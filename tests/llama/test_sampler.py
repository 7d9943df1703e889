"""Tokens are picked as the contract says, against a reference written with NumPy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.llama.prefilter import Reach
from corral_server.llama.sampler import LlamaSampler
from corral_server.request import SamplingParams
from tiny_llama import make_context

PROMPT = list(range(10, 17))
DRAWS = 2000
PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


@pytest.fixture(scope="module")
def context(model: LlamaModel) -> Iterator[LlamaContext]:
    """A context that has just computed `PROMPT`: its row of logits stays as it is."""
    context = make_context(model)
    batch = LlamaBatch(64)
    batch.add(PROMPT, position=0, sequence=0, wanted=True)
    context.decode(batch)
    yield context
    context.close()


@pytest.fixture(scope="module")
def logits(context: LlamaContext) -> npt.NDArray[np.float64]:
    row: npt.NDArray[np.float64] = context.logits(1)[0].astype(np.float64)
    return row


def draw(
    context: LlamaContext,
    count: int = 1,
    *,
    bias: dict[int, float] | None = None,
    seen: list[int] | None = None,
    **params: Any,
) -> list[int]:
    """`count` tokens picked in a row behind the prompt; `seen` came before."""
    size = context.logits(1).shape[1]
    sampler = LlamaSampler(SamplingParams(**params), vocab_size=size, bias=bias or {})
    try:
        sampler.accept(seen or [])
        return [sampler.sample(context, len(PROMPT) - 1) for _ in range(count)]
    finally:
        sampler.close()


def ranked(logits: npt.NDArray[np.float64]) -> list[int]:
    """Tokens, the likeliest first."""
    return [int(token) for token in np.argsort(-logits)]


def probabilities(logits: npt.NDArray[np.float64], temperature: float = 1.0) -> Any:
    weights = np.exp((logits - logits.max()) / temperature)
    return weights / weights.sum()


# One choice


def test_without_temperature_the_likeliest_is_picked(
    context: LlamaContext, logits: npt.NDArray[np.float64]
) -> None:
    assert draw(context, 5, temperature=0.0) == [int(logits.argmax())] * 5


def test_of_one_candidate_it_is_the_likeliest(
    context: LlamaContext, logits: npt.NDArray[np.float64]
) -> None:
    assert set(draw(context, 50, temperature=5.0, top_k=1)) == {int(logits.argmax())}


def test_one_seed_gives_one_answer(context: LlamaContext) -> None:
    assert draw(context, 50, **PLAIN, seed=7) == draw(context, 50, **PLAIN, seed=7)


def test_another_seed_gives_another_answer(context: LlamaContext) -> None:
    assert draw(context, 50, **PLAIN, seed=7) != draw(context, 50, **PLAIN, seed=8)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_seed_is_meant_as_it_is(context: LlamaContext, seed: int) -> None:
    assert draw(context, 50, **PLAIN, seed=seed) == draw(context, 50, **PLAIN, seed=seed)


# Bias


def test_a_bias_can_force_a_token(context: LlamaContext, logits: npt.NDArray[np.float64]) -> None:
    least = ranked(logits)[-1]
    assert draw(context, 5, temperature=1.0, bias={least: 1000.0}) == [least] * 5


@pytest.mark.parametrize("bias", [-1000.0, float("-inf")])
def test_a_bias_can_forbid_a_token(
    context: LlamaContext, logits: npt.NDArray[np.float64], bias: float
) -> None:
    first, second, *_ = ranked(logits)
    assert draw(context, temperature=0.0, bias={first: bias}) == [second]


def test_a_bias_is_added_to_the_logits(
    context: LlamaContext, logits: npt.NDArray[np.float64]
) -> None:
    first, second, *_ = ranked(logits)
    margin = logits[first] - logits[second]
    assert draw(context, temperature=0.0, bias={second: margin * 0.99}) == [first]
    assert draw(context, temperature=0.0, bias={second: margin * 1.01}) == [second]


# Penalties


@pytest.mark.parametrize(
    "penalty",
    [{"repeat_penalty": 100.0}, {"frequency_penalty": 100.0}, {"presence_penalty": 100.0}],
)
def test_a_penalty_keeps_from_repeating(
    context: LlamaContext, logits: npt.NDArray[np.float64], penalty: dict[str, Any]
) -> None:
    assert draw(context, 4, temperature=0.0, **penalty) == ranked(logits)[:4]


@pytest.mark.parametrize(
    "penalty",
    [{"repeat_penalty": 100.0}, {"frequency_penalty": 100.0}, {"presence_penalty": 100.0}],
)
def test_a_penalty_counts_the_prompt(
    context: LlamaContext, logits: npt.NDArray[np.float64], penalty: dict[str, Any]
) -> None:
    first, second, *_ = ranked(logits)
    assert draw(context, temperature=0.0, seen=[first], **penalty) == [second]


def test_a_penalty_forgets_what_is_too_long_ago(
    context: LlamaContext, logits: npt.NDArray[np.float64]
) -> None:
    first, second, *_ = ranked(logits)
    picked = draw(context, 4, temperature=0.0, presence_penalty=100.0, repeat_last_n=1)
    assert picked == [first, second, first, second]


def test_a_frequency_penalty_grows_with_every_repetition(
    context: LlamaContext, logits: npt.NDArray[np.float64]
) -> None:
    first, second, *_ = ranked(logits)
    penalty = float(logits[first] - logits[second]) / 2.5
    picked = draw(context, 4, temperature=0.0, frequency_penalty=penalty)
    assert picked[:4] == [first, first, first, second]


def test_bias_and_penalties_touch_some_tokens_only(context: LlamaContext) -> None:
    params = SamplingParams(temperature=0.0, presence_penalty=1.0, repeat_last_n=3)
    sampler = LlamaSampler(params, vocab_size=context.logits(1).shape[1], bias={7: 1.0, 8: 0.0})
    sampler.accept([1, 2, 3, 4])
    assert sorted(sampler.touched) == [2, 3, 4, 7, 8]
    token = sampler.sample(context, len(PROMPT) - 1)
    assert sorted(sampler.touched) == sorted([3, 4, token, 7, 8])
    sampler.close()


def test_without_bias_and_penalties_no_token_is_touched(context: LlamaContext) -> None:
    sampler = LlamaSampler(SamplingParams(), vocab_size=context.logits(1).shape[1], bias={})
    sampler.accept([1, 2, 3, 4])
    sampler.sample(context, len(PROMPT) - 1)
    assert not len(sampler.touched)
    sampler.close()


@pytest.mark.parametrize(("biases", "expected"), [(0, Reach(40)), (512, Reach(40)), (513, None)])
def test_with_very_many_biases_anybody_is_within_reach(biases: int, expected: Reach | None) -> None:
    bias = dict.fromkeys(range(biases), 1.0)
    sampler = LlamaSampler(SamplingParams(top_k=40), vocab_size=1000, bias=bias)
    assert sampler.reach == expected
    sampler.close()


# Chance


def supports(logits: npt.NDArray[np.float64]) -> dict[str, tuple[dict[str, Any], set[int]]]:
    """Parameters, and the tokens that can be picked under them."""
    order = ranked(logits)
    chances = probabilities(logits)
    cumulated = np.cumsum(chances[order])
    nucleus = int(np.searchsorted(cumulated, 0.5)) + 1
    likely = chances >= 0.3 * chances.max()
    return {
        "top_k": ({"top_k": 5}, set(order[:5])),
        "top_p": ({"top_p": 0.5}, set(order[:nucleus])),
        "min_p": ({"min_p": 0.3}, {int(token) for token in np.flatnonzero(likely)}),
        "top_k before top_p": (
            {"top_k": 4, "top_p": 0.6},
            set(order[: int(np.searchsorted(cumulated[:4] / cumulated[3], 0.6)) + 1]),
        ),
    }


@pytest.mark.parametrize("case", ["top_k", "top_p", "min_p", "top_k before top_p"])
def test_exactly_the_candidates_are_picked(
    context: LlamaContext, logits: npt.NDArray[np.float64], case: str
) -> None:
    params, candidates = supports(logits)[case]
    assert 1 < len(candidates) < len(logits)
    assert set(draw(context, DRAWS, **(PLAIN | params), seed=1)) == candidates


def test_candidates_are_chosen_before_temperature(
    context: LlamaContext, logits: npt.NDArray[np.float64]
) -> None:
    _, candidates = supports(logits)["top_p"]
    drawn = draw(context, DRAWS, **(PLAIN | {"top_p": 0.5, "temperature": 3.0}), seed=1)
    assert set(drawn) == candidates


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_candidates_are_picked_as_often_as_they_are_likely(
    context: LlamaContext, logits: npt.NDArray[np.float64], temperature: float
) -> None:
    order = ranked(logits)[:5]
    expected = probabilities(logits[order], temperature)
    params = PLAIN | {"top_k": 5, "temperature": temperature}
    drawn = draw(context, DRAWS, **params, seed=1)
    shares = np.array([drawn.count(token) for token in order]) / DRAWS
    # Five standard deviations of a share; the seed is fixed, so this passes always or never.
    assert np.abs(shares - expected).max() < 5 * np.sqrt(0.25 / DRAWS)
