"""Vectors from the real engine, against the same models in NumPy."""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from corral_server.config import Capability, LoadOptions, Mode, Pooling
from corral_server.errors import (
    CapabilityNotSupported,
    ContextLengthExceeded,
    InvalidFields,
    QueueFull,
)
from corral_server.ipc.messages import (
    Cancel,
    Embed,
    Embedded,
    Output,
    Start,
    Submit,
    Tokenize,
    Tokenized,
)
from corral_server.request import (
    Event,
    Finished,
    GenerationRequest,
    SamplingParams,
    TextPrompt,
    TokenPrompt,
)
from engine_peer import text_of
from loaded_engine import LoadedEngine, loaded, rows_of
from numpy_models import Array, bert_vectors, cosine, llama_vectors, read_weights
from tiny_bert import CLS, CONTEXT, SEP, write_bert
from tiny_gguf import write_llama

EMBED = frozenset({Capability.EMBED})
BOTH = frozenset(Capability)
SMALL = LoadOptions(context_size=512, slots=4, batch_size=32, threads=1)
TOKENS = (40, 90, 12, 77, 200, 31, 5, 66)


@pytest.fixture(scope="module")
def llama_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("embeddings") / "tiny.gguf")


@pytest.fixture(scope="module")
def bert_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("embeddings") / "bert.gguf")


@pytest.fixture(scope="module")
def llama(llama_path: Path) -> Iterator[LoadedEngine]:
    start = Start(str(llama_path), SMALL, capabilities=BOTH, mode=Mode.SERVER)
    with loaded(start) as engine:
        yield engine


@pytest.fixture(scope="module")
def bert(bert_path: Path) -> Iterator[LoadedEngine]:
    with loaded(Start(str(bert_path), SMALL, capabilities=EMBED, mode=Mode.SERVER)) as engine:
        yield engine


def of_tokens(call: int, *inputs: tuple[int, ...], **changed: object) -> Embed:
    return Embed(call=call, inputs=tuple(map(TokenPrompt, inputs)), **changed)  # type: ignore[arg-type]


def of_texts(call: int, *texts: str) -> Embed:
    return Embed(call=call, inputs=tuple(TextPrompt(text=text) for text in texts))


def pooled(vectors: Array, pooling: Pooling) -> Array:
    match pooling:
        case Pooling.MEAN:
            return np.asarray(vectors.mean(axis=0))
        case Pooling.CLS:
            return np.asarray(vectors[0])
        case Pooling.LAST:
            return np.asarray(vectors[-1])


# Decoders


@pytest.mark.parametrize("pooling", list(Pooling))
def test_a_decoders_vectors_are_numpys(
    llama: LoadedEngine, llama_path: Path, pooling: Pooling
) -> None:
    expected = pooled(llama_vectors(read_weights(llama_path), TOKENS), pooling)
    llama.peer.send(of_tokens(1, TOKENS, pooling=pooling, normalize=False))
    vector = llama.vectors(1)[1][0]
    assert cosine(vector, expected) >= 0.9999
    assert np.linalg.norm(vector) == pytest.approx(np.linalg.norm(expected), rel=0.01)


def test_a_text_longer_than_a_batch_is_computed_in_parts(
    llama: LoadedEngine, llama_path: Path
) -> None:
    tokens = tuple(int(token) for token in np.random.default_rng(1).integers(0, 256, 200))
    expected = llama_vectors(read_weights(llama_path), tokens).mean(axis=0)
    llama.peer.send(of_tokens(1, tokens, TOKENS))
    long, short = llama.vectors(1)[1]
    assert cosine(long, expected) >= 0.9999
    expected = llama_vectors(read_weights(llama_path), TOKENS).mean(axis=0)
    assert cosine(short, expected) >= 0.9999


def test_the_default_is_the_mean_and_length_1(llama: LoadedEngine, llama_path: Path) -> None:
    llama.peer.send(of_tokens(1, TOKENS))
    vector = llama.vectors(1)[1][0]
    expected = llama_vectors(read_weights(llama_path), TOKENS).mean(axis=0)
    assert cosine(vector, expected) >= 0.9999
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_many_at_once_are_as_one_at_a_time(llama: LoadedEngine) -> None:
    random = np.random.default_rng(0)
    inputs = [tuple(random.integers(0, 256, 1 + number % 30).tolist()) for number in range(40)]
    llama.peer.send(of_tokens(1, *inputs))
    together = llama.vectors(1)[1]
    assert len(together) == 40
    for number, tokens in enumerate(inputs):
        llama.peer.send(of_tokens(2, tokens))
        assert cosine(llama.vectors(2)[2][0], together[number]) >= 0.9999


def test_300_inputs_of_10_calls_come_in_far_fewer_frames(llama: LoadedEngine) -> None:
    embeds = [
        of_tokens(call, *[(call, number % 256) for number in range(30)]) for call in range(10)
    ]
    llama.peer.send(*embeds)
    frames = 0
    counts = dict.fromkeys(range(10), 0)
    while sum(counts.values()) < 300:
        frames += 1
        for part in llama.peer.frame():
            assert isinstance(part, Embedded)
            counts[part.call] += len(part.token_counts)
            assert part.is_last == (counts[part.call] == 30)
    assert counts == dict.fromkeys(range(10), 30)
    assert frames <= 25  # 600 tokens in batches of 32, and a seam or two


def test_it_generates_and_embeds_at_once(llama: LoadedEngine) -> None:
    request = GenerationRequest(
        prompt=TextPrompt(text="Hello world"),
        sampling=SamplingParams(temperature=0.0),
        max_tokens=40,
    )
    llama.peer.send(Submit(1, request))
    alone = text_of(llama.peer.answers(1)[1])
    llama.peer.send(Submit(2, request), of_tokens(3, *[TOKENS] * 60))
    order: list[int] = []
    events: list[Event] = []
    vectors = 0
    while vectors < 60 or not events or not isinstance(events[-1], Finished):
        report = llama.peer.report()
        if isinstance(report, Embedded):
            vectors += len(rows_of(report))
            order.append(report.call)
        else:
            assert isinstance(report, Output)
            events.append(report.event)
            order.append(report.call)
    assert text_of(events) == alone
    last_vector = len(order) - 1 - order[::-1].index(3)
    assert order[:last_vector].count(2) > 2, "they take turns"


def test_a_cancelled_call_says_no_more(llama: LoadedEngine) -> None:
    llama.peer.send(of_tokens(1, *[TOKENS] * 500), Cancel(1), of_tokens(2, TOKENS))
    while True:
        report = llama.peer.report()
        assert isinstance(report, Embedded)
        if report.call == 2:
            break
    llama.peer.send(Tokenize(3, "x", add_special=False, parse_special=False))
    assert llama.peer.report().call == 3  # type: ignore[union-attr]


def test_what_is_wrong_names_the_input(llama: LoadedEngine) -> None:
    llama.peer.send(of_tokens(1, TOKENS, (7,) * 257))
    error = llama.rejection()
    assert isinstance(error, ContextLengthExceeded)
    assert "inputs[1] has 257 tokens, at most 256 fit" in error.message
    llama.peer.send(of_tokens(2, TOKENS, ()))
    error = llama.rejection()
    assert isinstance(error, InvalidFields)
    assert error.violations[0].field == "inputs[1]"
    llama.peer.send(of_tokens(3, (1, 100_000)))
    error = llama.rejection()
    assert isinstance(error, InvalidFields)
    assert error.violations[0].field == "inputs[0].tokens"


def test_an_engine_without_embed_refuses_it(llama_path: Path) -> None:
    with loaded(Start(str(llama_path), SMALL)) as engine:
        engine.peer.send(of_tokens(1, TOKENS))
        assert isinstance(engine.rejection(), CapabilityNotSupported)


def test_an_engine_that_only_embeds_refuses_to_generate(bert: LoadedEngine) -> None:
    bert.peer.send(Submit(1, GenerationRequest(prompt=TextPrompt(text="hello"))))
    assert isinstance(bert.rejection(), CapabilityNotSupported)


def test_too_many_calls_are_refused(llama_path: Path) -> None:
    options = LoadOptions(context_size=512, batch_size=32, threads=1, max_waiting=2)
    with loaded(Start(str(llama_path), options, capabilities=EMBED)) as engine:
        engine.peer.send(*(of_tokens(call, TOKENS) for call in range(5)))
        assert isinstance(engine.rejection(), QueueFull)


# Encoders


@pytest.mark.parametrize("pooling", list(Pooling))
def test_an_encoders_vectors_are_numpys(
    bert: LoadedEngine, bert_path: Path, pooling: Pooling
) -> None:
    tokens = (CLS, 6, 50, 12, 30, 46, SEP)
    expected = pooled(bert_vectors(read_weights(bert_path), tokens), pooling)
    bert.peer.send(of_tokens(1, tokens, pooling=pooling, normalize=False))
    assert cosine(bert.vectors(1)[1][0], expected) >= 0.9999


def test_an_encoders_text_is_framed_by_its_own_tokens(bert: LoadedEngine) -> None:
    bert.peer.send(Tokenize(1, "hello world", add_special=False, parse_special=False))
    words = tuple(token.id for token in bert.peer.expect(Tokenized).tokens)
    bert.peer.send(of_texts(2, "hello world"), of_tokens(3, (CLS, *words, SEP)))
    vectors = bert.vectors(2, 3)
    assert cosine(vectors[2][0], vectors[3][0]) >= 0.9999


def test_a_special_token_written_in_a_text_is_text(bert: LoadedEngine) -> None:
    bert.peer.send(of_texts(1, "a[SEP]b", "a b"))
    marked, plain = bert.vectors(1)[1]
    assert cosine(marked, plain) < 0.9999


def test_the_models_own_pooling_is_the_default(bert: LoadedEngine) -> None:
    tokens = (CLS, 6, 50, SEP)
    bert.peer.send(of_tokens(1, tokens), of_tokens(2, tokens, pooling=Pooling.CLS))
    vectors = bert.vectors(1, 2)
    assert np.array_equal(vectors[1], vectors[2])


def test_the_loads_pooling_goes_before_the_models(bert_path: Path) -> None:
    options = LoadOptions(threads=1, pooling=Pooling.LAST)
    with loaded(Start(str(bert_path), options, capabilities=EMBED)) as engine:
        tokens = (CLS, 6, 50, SEP)
        engine.peer.send(of_tokens(1, tokens), of_tokens(2, tokens, pooling=Pooling.LAST))
        vectors = engine.vectors(1, 2)
    assert np.array_equal(vectors[1], vectors[2])


def test_an_encoder_without_a_pooling_of_its_own_takes_the_mean(tmp_path: Path) -> None:
    path = write_bert(tmp_path / "bert.gguf", pooling=gguf.PoolingType.NONE)
    with loaded(Start(str(path), SMALL, capabilities=EMBED)) as engine:
        tokens = (CLS, 6, 50, SEP)
        engine.peer.send(of_tokens(1, tokens), of_tokens(2, tokens, pooling=Pooling.MEAN))
        vectors = engine.vectors(1, 2)
    assert np.array_equal(vectors[1], vectors[2])


def test_an_encoders_texts_share_a_batch_without_touching(bert: LoadedEngine) -> None:
    inputs = [(CLS, *range(6, 7 + number % 20), SEP) for number in range(30)]
    bert.peer.send(of_tokens(1, *inputs))
    together = bert.vectors(1)[1]
    for number in (0, 13, 29):
        bert.peer.send(of_tokens(2, inputs[number]))
        assert cosine(bert.vectors(2)[2][0], together[number]) >= 0.9999


def test_an_encoder_takes_what_its_context_holds(bert: LoadedEngine) -> None:
    bert.peer.send(of_tokens(1, (6,) * CONTEXT), of_tokens(2, (6,) * (CONTEXT + 1)))
    assert isinstance(bert.rejection(), ContextLengthExceeded)
    assert bert.ready.facts.sequence_limit == CONTEXT


@pytest.mark.parametrize("capabilities", [BOTH, frozenset({Capability.GENERATE})])
def test_an_encoder_is_loaded_for_embedding_only(
    bert_path: Path, capabilities: frozenset[Capability]
) -> None:
    start = Start(str(bert_path), SMALL, capabilities=capabilities)
    with pytest.raises(CapabilityNotSupported, match="load it with EMBED only"), loaded(start):
        pass
