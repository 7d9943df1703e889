"""Answers do not depend on who else is answered.

Two facts of arithmetic bound what can be asked. Rows of one batch do not touch each other, so at a
given batch shape other streams' words change no bit. But a batch of another shape takes other
kernels, which add up in another order: one stream alone and eight at once agree to about 0.01 in a
logit here, and so in every choice that is clearer than that.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
import numpy.typing as npt
import pytest

from corral_server.engine.runner import LlamaRunner
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.sequence import Sequence
from corral_server.llama.context import LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.request import GenerationRequest, SamplingParams, TokenPrompt
from tiny_gguf import write_llama
from tiny_llama import load_model, make_context

STREAMS = 8
ANSWER_TOKENS = 48
BATCH_TOKENS = 64
CLEAR = 0.03
MAX_TRIES = 1000

Logits = npt.NDArray[np.float32]


class Answers:
    """Runs prompts through the engine's own scheduler and runner, and watches the logits."""

    def __init__(self, model: LlamaModel, context: LlamaContext) -> None:
        self._model = model
        self._context = context
        self._runner = LlamaRunner(context, model.vocabulary, batch_tokens=BATCH_TOKENS)
        self._scheduler = Scheduler(
            slots=STREAMS, cells=context.size, batch_tokens=BATCH_TOKENS, max_waiting=STREAMS
        )

    def to(self, *prompts: list[int]) -> list[tuple[list[int], Logits]]:
        """The answers to prompts that come at once, and the logits behind each of their tokens."""
        self._context.clear()
        sequences = [self._sequence(call, prompt) for call, prompt in enumerate(prompts)]
        logits: list[list[Logits]] = [[] for _ in prompts]
        for sequence in sequences:
            self._scheduler.add(sequence)
        while self._scheduler.has_work:
            batch = self._scheduler.schedule()
            due = [item.sequence.call for item in batch.items if item.closes_gap]
            self._scheduler.update(batch, self._runner.execute(batch))
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
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    model = load_model(write_llama(tmp_path_factory.mktemp("numbers") / "f32.gguf", layers=1))
    context = make_context(model, context_size=2048, slots=STREAMS, batch_size=BATCH_TOKENS)
    yield Answers(model, context)
    context.close()
    model.close()


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
