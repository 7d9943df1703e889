"""The stateless mode: a fresh context for each call, only the weights between calls."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.synthetic import write_synthetic
from corral_server.config import Capability, LoadOptions, Mode
from corral_server.engine.direct import DirectRunner, DirectScheduler
from corral_server.engine.pace import Pace
from corral_server.engine.sequence import Sequence
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.errors import QueueFull
from corral_server.ipc.messages import Cancel, Embed, Output, Rejected, Start, Submit
from corral_server.llama.context import ContextOptions, LlamaContext
from corral_server.request import (
    Finished,
    GenerationRequest,
    SamplingParams,
    Started,
    TextPrompt,
    TokenPrompt,
)
from engine_peer import text_of
from loaded_engine import LoadedEngine, loaded
from make_scheduler import computed
from numpy_models import cosine
from tiny_llama import load_model

MIB = 1024 * 1024
BOTH = frozenset(Capability)
OPTIONS = LoadOptions(context_size=4096, batch_size=128, threads=1)
GREEDY = SamplingParams(temperature=0.0)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose contexts are large beside what else an engine may take."""
    folder = tmp_path_factory.mktemp("direct")
    return write_synthetic(
        folder / "m.gguf", layers=6, embedding=256, heads=4, kv_heads=4, ff=512, vocab=2000
    )


@pytest.fixture(scope="module")
def direct(path: Path) -> Iterator[LoadedEngine]:
    with loaded(Start(str(path), OPTIONS, capabilities=BOTH, mode=Mode.DIRECT)) as engine:
        yield engine


def request(text: str = "Hello", max_tokens: int | None = 8) -> GenerationRequest:
    return GenerationRequest(prompt=TextPrompt(text=text), sampling=GREEDY, max_tokens=max_tokens)


def embed(call: int, *inputs: tuple[int, ...]) -> Embed:
    return Embed(call=call, inputs=tuple(map(TokenPrompt, inputs)))


def test_it_says_what_a_server_says(direct: LoadedEngine, path: Path) -> None:
    direct.peer.send(Submit(1, request()), Submit(2, request("a longer prompt " * 20)))
    answers = direct.peer.answers(1, 2)
    with loaded(Start(str(path), OPTIONS)) as server:
        server.peer.send(Submit(1, request()))
        first = server.peer.answers(1)[1]
        server.peer.send(Submit(2, request("a longer prompt " * 20)))
        second = server.peer.answers(2)[2]
    assert text_of(answers[1]) == text_of(first) != ""
    assert text_of(answers[2]) == text_of(second) != ""


def test_requests_are_answered_one_after_the_other(direct: LoadedEngine) -> None:
    direct.peer.send(*(Submit(call, request()) for call in range(4)))
    ends: list[int] = []
    begun: list[int] = []
    while len(ends) < 4:
        output = direct.peer.expect(Output)
        if isinstance(output.event, Started):
            continue
        if output.call not in begun:
            assert ends == begun, "the one before has ended"
            begun.append(output.call)
        if isinstance(output.event, Finished):
            ends.append(output.call)
    assert ends == [0, 1, 2, 3]


def test_between_calls_only_the_weights_are_there(direct: LoadedEngine) -> None:
    for call in range(3):
        direct.peer.send(Submit(call, request(max_tokens=4)))
        direct.peer.answers(call)
        direct.peer.send(embed(call, (1, 2, 3)))
        direct.vectors(call)
    ready = direct.ready.facts
    assert ready.growth_bytes > 60 * MIB, "the contexts of both kinds were counted"
    direct.peer.send(Submit(9, request(max_tokens=1)), Submit(10, request(max_tokens=1)))
    direct.peer.answers(9, 10)
    assert direct.resident_bytes < ready.memory_bytes + 12 * MIB


def test_a_cancelled_request_gives_its_context_back(direct: LoadedEngine) -> None:
    direct.peer.send(Submit(1, request(max_tokens=None)))
    direct.peer.expect(Output)
    direct.peer.send(Cancel(1), Submit(2, request()))
    while direct.peer.expect(Output).call == 1:
        pass
    assert direct.resident_bytes < direct.ready.facts.memory_bytes + 32 * MIB


def test_the_queue_has_an_end(path: Path) -> None:
    options = LoadOptions(context_size=256, batch_size=64, threads=1, max_waiting=1)
    with loaded(Start(str(path), options, mode=Mode.DIRECT)) as engine:
        engine.peer.send(*(Submit(call, request()) for call in range(4)))
        rejected = engine.peer.skip_to(Rejected)
        assert isinstance(rejected.failure.error(), QueueFull)


def test_its_vectors_are_those_of_a_server(direct: LoadedEngine, path: Path) -> None:
    inputs = [(7, 8, 9), tuple(range(200)), (5,)]
    direct.peer.send(embed(1, *inputs), embed(2, *inputs[::-1]))
    vectors = direct.vectors(1, 2)
    start = Start(str(path), OPTIONS, capabilities=frozenset({Capability.EMBED}), mode=Mode.SERVER)
    with loaded(start) as server:
        server.peer.send(embed(1, *inputs))
        expected = server.vectors(1)[1]
    for vector, reverse, wanted in zip(vectors[1], vectors[2][::-1], expected, strict=True):
        assert cosine(vector, wanted) > 0.9999
        assert cosine(reverse, wanted) > 0.9999


def test_there_is_a_context_for_each_request_and_none_after_the_last(path: Path) -> None:
    sizes: list[int] = []
    with closing(load_model(path)) as model:

        def open_context(size: int) -> LlamaContext:
            sizes.append(size)
            options = ContextOptions(context_size=size, slots=1, batch_size=64, threads=1)
            return LlamaContext(model, options)

        runner = DirectRunner(
            open_context, model.vocabulary, batch_tokens=64, spin=SpinPolicy(lambda is_brief: None)
        )
        scheduler = DirectScheduler(
            cells=256, pace=Pace(target_s=60.0, batch_tokens=64), max_waiting=10
        )
        for call in range(5):
            asked = GenerationRequest(prompt=TokenPrompt((1, 2)), sampling=GREEDY, max_tokens=3)
            scheduler.add(
                Sequence(
                    call,
                    asked,
                    [1, 2],
                    limit=100,
                    vocabulary=model.vocabulary,
                    sampler=runner.sampler(asked, [1, 2]),
                    now=0.0,
                )
            )
        while scheduler.has_work:
            computed(scheduler, runner, scheduler.schedule())
        assert sizes == [5] * 5
        assert not runner.has_context
