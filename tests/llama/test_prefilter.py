"""A few tokens of a vocabulary are enough: what is picked of them is what is picked of all."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.llama.batch import LlamaBatch
from corral_server.llama.candidates import Candidates
from corral_server.llama.context import LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.llama.prefilter import Prefilter, Reach, reach, worthwhile
from corral_server.llama.sampler import LlamaSampler
from corral_server.request import SamplingParams
from tiny_gguf import write_llama
from tiny_llama import load_model, make_context

Logits = npt.NDArray[np.float32]

WIDE = 151_936
NOTHING = np.empty(0, np.intp)
TEXT = (
    "Once upon a time a fox lived in the forest. What is the capital of France? The capital of "
    "France is Paris. 7 + 5 = 12. Name three colours, and tell me why the sky is blue. "
)


@dataclass(frozen=True)
class Computed:
    """A context's last batch: `ends` are the rows of the batch behind which `logits` stand."""

    context: LlamaContext
    ends: list[int]

    @property
    def logits(self) -> Logits:
        return self.context.logits(len(self.ends))


def compute(model: LlamaModel, prompts: list[list[int]]) -> Computed:
    """Computes `prompts`, each in a sequence of its own."""
    context = make_context(model, context_size=2048, slots=len(prompts), batch_size=2048)
    batch = LlamaBatch(2048)
    ends = [
        batch.add(prompt, position=0, sequence=sequence, wanted=True)
        for sequence, prompt in enumerate(prompts)
    ]
    context.decode(batch)
    return Computed(context, ends)


@pytest.fixture(scope="module")
def real() -> Iterator[Computed]:
    """64 rows of logits of the demo model, behind prompts of 1 to 32 tokens."""
    model = load_model(Path(str(files("corral_server") / "assets" / "demo.gguf")))
    tokens = model.vocabulary.tokenize(TEXT, add_special=False, parse_special=False)
    computed = compute(model, [tokens[row % 32 : row % 32 + 1 + row // 2] for row in range(64)])
    yield computed
    computed.context.close()
    model.close()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Computed]:
    """Four rows of `WIDE` made-up logits in the place of a model's: some tokens stick out by much,
    by little, not at all, or they are all much alike."""
    path = write_llama(tmp_path_factory.mktemp("wide") / "wide.gguf", vocab=WIDE)
    model = load_model(path)
    computed = compute(model, [[10], [11], [12], [13]])
    random = np.random.default_rng(0)
    shapes = [(15, 2.5), (5, 2.5), (0, 3.0), (0, 0.5)]
    for logits, (lead, spread) in zip(computed.logits, shapes, strict=True):
        logits[:] = random.normal(0, spread, WIDE)
        logits[random.choice(WIDE, 60, replace=False)] += np.linspace(lead, 0, 60)
    yield computed
    computed.context.close()
    model.close()


class Drawer:
    """Draws as the engine does, of few tokens where that can be, or of all."""

    def __init__(self, computed: Computed, *, most: int) -> None:
        self._computed = computed
        self._logits = computed.logits
        self._prefilter = Prefilter(self._logits.shape[1], most=most)
        self._candidates = Candidates(most)
        self.num_few = 0

    def draw(self, sampler: LlamaSampler, row: int) -> int:
        token = self._draw_of_few(sampler, self._logits[row])
        if token is None:
            return self.draw_of_all(sampler, row)
        self.num_few += 1
        return token

    def draw_of_all(self, sampler: LlamaSampler, row: int) -> int:
        return sampler.sample(self._computed.context, self._computed.ends[row])

    def _draw_of_few(self, sampler: LlamaSampler, logits: Logits) -> int | None:
        assert sampler.reach is not None
        few = self._prefilter.find(logits, sampler.reach, sampler.touched)
        if few is None:
            return None
        self._candidates.fill(few, logits[few])
        return sampler.choose(self._candidates)


def any_params(random: np.random.Generator) -> SamplingParams:
    """Any for which a few tokens may be enough."""

    def one_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    top_k = one_of(0, 1, 2, 5, 20, 40, 40, 129)
    return SamplingParams(
        temperature=one_of(0.0, 0.1, 0.8, 0.8, 1.0, 3.0, 100.0),
        top_k=top_k,
        top_p=one_of(0.0, 0.3, 0.95, 0.95, 1.0) if top_k else 1.0,
        min_p=one_of(0.0, 0.001, 0.05, 0.5, 1.0) if top_k else one_of(0.001, 0.05, 0.5, 1.0),
        repeat_penalty=one_of(1.0, 1.0, 1.1, 0.7, 10.0),
        repeat_last_n=one_of(0, 1, 8, 64),
        frequency_penalty=one_of(0.0, 0.0, 0.0, 0.5, -1.0),
        presence_penalty=one_of(0.0, 0.0, 0.0, 0.5, -1.0),
        seed=int(random.integers(2**32)),
    )


def any_bias(random: np.random.Generator, logits: Logits) -> dict[int, float]:
    """On likely and on unlikely tokens, or nothing."""
    likely = np.argsort(-logits)[:20]
    tokens = [*random.choice(likely, 3), *random.integers(len(logits), size=3)]
    values = random.choice([-np.inf, -np.inf, -2.0, 0.0, 2.0, 100.0], size=len(tokens))
    bias = dict(zip(map(int, tokens), map(float, values), strict=True))
    return bias if random.random() < 0.5 else {}


def draw_twice(computed: Computed, *, most: int, mixes: int, draws: int) -> int:
    """Draws `draws` times in a row with each of `mixes` of parameters, of few tokens and of all.

    Returns how often few were enough.
    """
    random = np.random.default_rng(1)
    logits = computed.logits
    rows, vocab_size = logits.shape
    before = logits.copy()
    drawer = Drawer(computed, most=most)
    for _ in range(mixes):
        first, *others = random.integers(rows, size=draws).tolist()
        params, bias = any_params(random), any_bias(random, logits[first])
        seen = random.integers(vocab_size, size=8).tolist()
        one, twin = (LlamaSampler(params, vocab_size=vocab_size, bias=bias) for _ in range(2))
        one.accept(seen)
        twin.accept(seen)
        for row in [first, *others]:
            assert drawer.draw(one, row) == drawer.draw_of_all(twin, row), (params, bias)
        one.close()
        twin.close()
    assert np.array_equal(logits, before)
    return drawer.num_few


def test_of_real_logits_few_draw_what_all_draw(real: Computed) -> None:
    assert draw_twice(real, most=512, mixes=600, draws=16) > 0.7 * 600 * 16


def test_of_a_wide_vocabulary_few_draw_what_all_draw(wide: Computed) -> None:
    assert draw_twice(wide, most=worthwhile(WIDE), mixes=100, draws=16) > 0.9 * 100 * 16


@pytest.mark.parametrize("top_k", [1, 5, 40])
def test_of_equal_logits_few_draw_what_all_draw(real: Computed, top_k: int) -> None:
    logits = real.logits
    before = logits.copy()
    logits[:] = np.round(logits * 4) / 4
    drawer = Drawer(real, most=1024)
    params = SamplingParams(top_k=top_k, top_p=1.0, min_p=0.0, temperature=2.0, seed=3)
    one, twin = (LlamaSampler(params, vocab_size=logits.shape[1], bias={}) for _ in range(2))
    try:
        for row in range(len(logits)):
            assert drawer.draw(one, row) == drawer.draw_of_all(twin, row)
    finally:
        logits[:] = before
        one.close()
        twin.close()
    assert drawer.num_few < len(logits)


# Who is found


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"temperature": 0.0, "top_k": 7}, Reach(1)),
        ({}, Reach(40)),
        ({"top_k": 7, "top_p": 1.0, "min_p": 0.0}, Reach(7)),
        ({"top_k": 0, "top_p": 1.0, "min_p": 1.0}, Reach(1, 0.0)),
        ({"top_k": 0, "top_p": 1.0, "min_p": 0.5}, Reach(1, -math.log(0.5))),
        ({"top_k": 0, "top_p": 0.9}, None),
        ({"top_k": 0, "top_p": 0.9, "min_p": 0.0}, None),
        ({"top_k": 0, "top_p": 1.0, "min_p": 0.0}, None),
    ],
)
def test_parameters_say_who_can_be_picked(params: dict[str, Any], expected: Reach | None) -> None:
    assert reach(SamplingParams(**params)) == expected


@given(
    size=st.integers(64, 2000),
    count=st.integers(1, 60),
    distance=st.sampled_from([0.0, 0.5, 3.0]),
    touched=st.sets(st.integers(0, 63), max_size=4),
    seed=st.integers(0, 2**16),
)
def test_nobody_within_reach_is_missed(
    size: int, count: int, distance: float, touched: set[int], seed: int
) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, size).astype(np.float32)
    changed = np.array([*touched, *touched], np.intp)
    found = Prefilter(size, most=size).find(logits, Reach(count, distance), changed)
    if found is None:
        assert count + len(changed) > size // 32
        return
    rest = np.setdiff1d(np.arange(size), changed)
    bound = np.sort(logits[rest])[-count] - distance
    assert set(rest[logits[rest] >= bound]) | touched <= set(found.tolist())
    assert found.tolist() == sorted(set(found.tolist()))


def test_few_are_found_under_the_default_parameters(wide: Computed) -> None:
    prefilter = Prefilter(WIDE, most=worthwhile(WIDE))
    for logits in wide.logits:
        found = prefilter.find(logits, Reach(40), NOTHING)
        assert found is not None
        assert 40 <= len(found) <= 60


def test_many_are_not_found(wide: Computed) -> None:
    *_, alike = wide.logits
    prefilter = Prefilter(WIDE, most=worthwhile(WIDE))
    assert prefilter.find(alike, Reach(1, 3.0), NOTHING) is None
    assert prefilter.find(alike, Reach(5000), NOTHING) is None
    assert prefilter.find(alike, Reach(40), np.arange(5000)) is None


def test_nobody_is_found_where_logits_are_no_numbers() -> None:
    logits = np.full(2000, np.nan, np.float32)
    assert Prefilter(2000, most=1000).find(logits, Reach(40), NOTHING) is None


def test_searching_pays_in_large_vocabularies_only() -> None:
    assert worthwhile(1536) == 0
    assert worthwhile(WIDE) == 3798
