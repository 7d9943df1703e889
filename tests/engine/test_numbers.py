"""Answers do not depend on who else is answered.

Two facts of arithmetic bound what can be asked. Rows of one batch do not touch each other, so at a
given batch shape other streams' words change no bit. But a batch of another shape takes other
kernels, which add up in another order: one stream alone and eight at once agree to about 0.01 in a
logit here, and so in every choice that is clearer than that.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from corral_server.engine.kv_cache import Policy
from corral_server.engine.runner import LlamaRunner
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.sequence import Sequence
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.llama.context import LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.request import GenerationRequest, SamplingParams, TokenPrompt
from make_scheduler import computed, make_scheduler
from tiny_gguf import write_llama
from tiny_llama import load_model, make_context

STREAMS = 8
ANSWER_TOKENS = 48
KEPT = 8
BATCH_TOKENS = 64
CLEAR = 0.03
MAX_TRIES = 1000

Logits = npt.NDArray[np.float32]


class Answers:
    """Runs prompts through the engine's own scheduler and runner, and watches the logits."""

    def __init__(
        self, model: LlamaModel, context: LlamaContext, scheduler: Scheduler | None = None
    ) -> None:
        self._model = model
        self._context = context
        self._runner = LlamaRunner(
            context,
            model.vocabulary,
            batch_tokens=BATCH_TOKENS,
            spin=SpinPolicy(lambda is_brief: None),
        )
        self._scheduler = scheduler or make_scheduler(
            slots=STREAMS,
            cells=context.size,
            batch_tokens=BATCH_TOKENS,
            kept=0,
            policy=Policy(keeps=False),
        )
        context.clear()

    def using(self, **options: Any) -> "Answers":
        """Another scheduler over the same context, which it takes over."""
        scheduler = make_scheduler(slots=STREAMS, **({"batch_tokens": BATCH_TOKENS} | options))
        return Answers(self._model, self._context, scheduler)

    def to(self, *prompts: list[int]) -> list[tuple[list[int], Logits]]:
        """The answers to prompts that come at once, and the logits behind each of their tokens."""
        sequences = [self._sequence(call, prompt) for call, prompt in enumerate(prompts)]
        logits: list[list[Logits]] = [[] for _ in prompts]
        for sequence in sequences:
            self._scheduler.add(sequence)
        while self._scheduler.has_work:
            batch = self._scheduler.schedule()
            due = [item.sequence.call for item in batch.items if item.closes_gap]
            computed(self._scheduler, self._runner, batch)
            rows = self._context.logits(len(due)).copy() if due else ()
            for call, row in zip(due, rows, strict=True):
                logits[call].append(row)
        answers = [sequence.tokens[sequence.num_prompt :] for sequence in sequences]
        return [(answer, np.array(rows)) for answer, rows in zip(answers, logits, strict=True)]

    def _sequence(self, call: int, prompt: list[int]) -> Sequence:
        request = GenerationRequest(
            prompt=TokenPrompt(tuple(prompt)),
            sampling=SamplingParams(temperature=0.0),
            max_tokens=ANSWER_TOKENS,
        )
        return Sequence(
            call,
            request,
            list(prompt),
            limit=self._model.trained_context,
            vocabulary=self._model.vocabulary,
            sampler=self._runner.sampler(request, prompt),
            now=0.0,
        )


@pytest.fixture(scope="module")
def loaded(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LlamaModel, LlamaContext]]:
    model = load_model(write_llama(tmp_path_factory.mktemp("numbers") / "f32.gguf", layers=1))
    context = make_context(model, context_size=2048, slots=STREAMS + KEPT, batch_size=BATCH_TOKENS)
    yield model, context
    context.close()
    model.close()


@pytest.fixture
def answers(loaded: tuple[LlamaModel, LlamaContext]) -> Answers:
    """One sequence at a time or several, and nothing kept in between."""
    return Answers(*loaded)


def make_prompt(length: int, seed: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(0, 256, length)]


def margin(logits: Logits) -> float:
    """By how much the closest choice was won."""
    best = np.sort(logits, axis=1)[:, -2:]
    return float((best[:, 1] - best[:, 0]).min())


def clear_prompt(answers: Answers, length: int) -> tuple[list[int], list[int]]:
    """A prompt all of whose answer's choices are clear, and the answer it gets alone."""
    for seed in count():
        assert seed < MAX_TRIES
        prompt = make_prompt(length, seed)
        ((answer, logits),) = answers.to(prompt)
        if margin(logits) > CLEAR:
            return prompt, answer
    raise AssertionError


def test_eight_at_once_are_answered_as_one_at_a_time(answers: Answers) -> None:
    pairs = [clear_prompt(answers, length) for length in range(5, 5 + 3 * STREAMS, 3)]
    alone = [answer for _, answer in pairs]
    together = [answer for answer, _ in answers.to(*(prompt for prompt, _ in pairs))]
    assert all(len(answer) == ANSWER_TOKENS and len(set(answer)) > 8 for answer in alone)
    assert together == alone


def test_answers_with_prefix_hits_are_those_without(answers: Answers) -> None:
    pairs = [clear_prompt(answers, length) for length in (60, 90, 120)]
    alone = [answer for _, answer in pairs]
    cached = answers.using(cells=2048, kept=KEPT)
    for prompt, answer in pairs:
        # Others that begin like it, so that it is found in parts; then itself, then its next turn.
        for end in (40, 50):
            cached.to([*prompt[:end], 1, 2, 3])
        assert [cached.to(prompt)[0][0] for _ in range(2)] == [answer, answer]
    assert [answer for answer, _ in cached.to(*(prompt for prompt, _ in pairs))] == alone


def test_answers_that_gave_way_halfway_are_those_that_did_not(answers: Answers) -> None:
    pairs = [clear_prompt(answers, length) for length in (60, 63, 66, 69)]
    crowded = answers.using(cells=256, kept=KEPT)
    together = [answer for answer, _ in crowded.to(*(prompt for prompt, _ in pairs))]
    assert together == [answer for _, answer in pairs]


def test_answers_to_prompts_in_small_parts_are_those_to_whole_ones(answers: Answers) -> None:
    pairs = [clear_prompt(answers, length) for length in (60, 63)]
    chunked = answers.using(cells=2048, batch_tokens=9, kept=0)
    together = [answer for answer, _ in chunked.to(*(prompt for prompt, _ in pairs))]
    assert together == [answer for _, answer in pairs]


def test_answers_from_host_memory_are_those_without(answers: Answers) -> None:
    pairs = [clear_prompt(answers, length) for length in (60, 63)]
    saved = answers.using(cells=2048, kept=0, host_bytes=1 << 30)
    for _ in range(2):
        for prompt, answer in pairs:
            # Eight others push it out of the cache.
            saved.to(*(make_prompt(40, seed) for seed in range(1000, 1000 + STREAMS)))
            assert saved.to(prompt)[0][0] == answer


@pytest.mark.parametrize("stream", [0, 3, STREAMS - 1])
def test_what_others_say_does_not_change_a_bit(answers: Answers, stream: int) -> None:
    ours = make_prompt(5 + stream, seed=0)
    company = [
        [make_prompt(5 + other, seed) for other in range(STREAMS) if other != stream]
        for seed in (1, 2)
    ]
    first, second = (
        answers.to(*others[:stream], ours, *others[stream:])[stream] for others in company
    )
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
