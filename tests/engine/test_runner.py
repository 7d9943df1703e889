"""A batch becomes a decode and a token for every sequence that is due one, as it asked for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from corral_server.engine.runner import LlamaRunner
from corral_server.engine.sequence import Sequence
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.llama.context import LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.request import (
    Finished,
    FinishReason,
    GenerationRequest,
    SamplingParams,
    StopParams,
    TokenPrompt,
)
from make_scheduler import computed, make_scheduler
from tiny_gguf import EOS_TOKEN
from tiny_llama import make_context

SLOTS = 4
BATCH_TOKENS = 16
PROMPT = list(range(10, 17))


@pytest.fixture
def context(tiny_model: LlamaModel) -> Iterator[LlamaContext]:
    context = make_context(tiny_model, slots=SLOTS, batch_size=BATCH_TOKENS)
    yield context
    context.close()


@pytest.fixture
def runner(tiny_model: LlamaModel, context: LlamaContext) -> LlamaRunner:
    return LlamaRunner(
        context,
        tiny_model.vocabulary,
        batch_tokens=BATCH_TOKENS,
        spin=SpinPolicy(lambda is_brief: None),
    )


@pytest.fixture
def end(tiny_model: LlamaModel) -> int:
    (token,) = tiny_model.vocabulary.tokenize(EOS_TOKEN, add_special=False, parse_special=True)
    return token


def make_request(
    *, max_tokens: int = 8, stop: StopParams | None = None, **sampling: Any
) -> GenerationRequest:
    return GenerationRequest(
        prompt=TokenPrompt(tuple(PROMPT)),
        sampling=SamplingParams(**({"temperature": 0.0} | sampling)),
        stop=stop or StopParams(),
        max_tokens=max_tokens,
    )


def answer(
    model: LlamaModel, runner: LlamaRunner, *requests: GenerationRequest
) -> list[tuple[list[int], FinishReason]]:
    """What requests that come at once are answered, and why each answer ended."""
    scheduler = make_scheduler(slots=SLOTS, cells=256, batch_tokens=BATCH_TOKENS, kept=0)
    sequences = [
        Sequence(
            call,
            request,
            list(PROMPT),
            limit=model.trained_context,
            vocabulary=model.vocabulary,
            sampler=runner.sampler(request, PROMPT),
            now=0.0,
        )
        for call, request in enumerate(requests)
    ]
    for sequence in sequences:
        scheduler.add(sequence)
    reasons: dict[int, FinishReason] = {}
    while scheduler.has_work:
        for output in computed(scheduler, runner, scheduler.schedule()):
            if isinstance(output.event, Finished):
                reasons[output.call] = output.event.reason
    return [(s.tokens[s.num_prompt :], reasons[s.call]) for s in sequences]


def test_the_likeliest_token_needs_no_sampler(runner: LlamaRunner) -> None:
    assert runner.sampler(make_request(), PROMPT) is None


def test_the_likeliest_token_is_the_same_with_a_sampler(
    tiny_model: LlamaModel, runner: LlamaRunner
) -> None:
    idle_bias = {0: 0.0}
    plain, sampled = answer(
        tiny_model,
        runner,
        make_request(max_tokens=3),
        make_request(max_tokens=3, logit_bias=idle_bias),
    )
    assert plain == sampled


def test_requests_with_and_without_a_sampler_share_a_batch(
    tiny_model: LlamaModel, runner: LlamaRunner
) -> None:
    likeliest = make_request(max_tokens=3)
    any_token = make_request(max_tokens=3, temperature=50.0, seed=7, top_k=0, top_p=1.0, min_p=0.0)
    greedy, drawn, again = answer(tiny_model, runner, likeliest, any_token, likeliest)
    assert greedy == again != drawn


def test_a_bias_reaches_the_choice(tiny_model: LlamaModel, runner: LlamaRunner) -> None:
    ((tokens, reason),) = answer(tiny_model, runner, make_request(logit_bias={65: 1000.0}))
    assert (tokens, reason) == ([65] * 8, FinishReason.LENGTH)


def test_an_end_token_that_is_picked_ends_the_answer(
    tiny_model: LlamaModel, runner: LlamaRunner, end: int
) -> None:
    ((tokens, reason),) = answer(tiny_model, runner, make_request(logit_bias={end: 1000.0}))
    assert (tokens, reason) == ([end], FinishReason.EOS)


def test_an_end_token_that_is_ignored_is_never_picked(
    tiny_model: LlamaModel, runner: LlamaRunner, end: int
) -> None:
    request = make_request(logit_bias={end: 1000.0}, stop=StopParams(ignore_eos=True))
    ((tokens, reason),) = answer(tiny_model, runner, request)
    assert reason is FinishReason.LENGTH
    assert not set(tokens) & tiny_model.vocabulary.end_tokens


def test_penalties_know_the_prompt(tiny_model: LlamaModel, runner: LlamaRunner) -> None:
    favoured = PROMPT[0]
    bias = {favoured: 1000.0, 65: 950.0}
    penalized = make_request(logit_bias=bias, presence_penalty=100.0, max_tokens=1)
    forgetful = make_request(logit_bias=bias, presence_penalty=100.0, repeat_last_n=3, max_tokens=1)
    (first, _), (second, _) = answer(tiny_model, runner, penalized, forgetful)
    assert (first, second) == ([65], [favoured])


def test_a_slot_is_empty_when_it_is_used_again(tiny_model: LlamaModel, runner: LlamaRunner) -> None:
    first, *others = answer(tiny_model, runner, *[make_request(max_tokens=3)] * (2 * SLOTS))
    assert others == [first] * (2 * SLOTS - 1)
