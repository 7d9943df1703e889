"""Cases that ask a model and are answered."""

import math
import time
from collections.abc import Mapping, Sequence
from operator import mul

from conformance.case import TIMEOUT_S, Case, S, equal, expect, plain, poll_until_idle
from corral import Embedding, FinishReason, Message, Role, assistant, user

FRANCE = "What is the capital of France?"
SUM = "What is 7 plus 5?"
MIXED = "Hello, world! héllo 🐎"


def generate() -> str:
    with plain() as client:
        answer = client.inference.generate(S, max_tokens=24, temperature=0, timeout=TIMEOUT_S)
    equal(answer.proto.model, "demo", "model")
    expect(answer.text.startswith(" small lamb named"), "a lamb", answer.text)
    equal(answer.finished.reason, FinishReason.FINISH_REASON_LENGTH, "reason")
    usage = answer.finished.usage
    equal((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (8, 24, 32), "usage")
    expect(bool(answer.proto.request_id), "a request_id")
    return f"{usage.completion_tokens} tokens"


def generate_stream() -> str:
    with plain() as client:
        whole = client.inference.generate(S, max_tokens=24, temperature=0, timeout=TIMEOUT_S)
        stream = client.inference.generate_stream(
            S, max_tokens=24, temperature=0, timeout=TIMEOUT_S
        )
        events = list(stream.events())
    kinds = [event.WhichOneof("event") for event in events]
    equal(kinds, ["started", *["delta"] * (len(kinds) - 2), "finished"], "order")
    started, finished = events[0].started, events[-1].finished
    equal((started.model, started.prompt_tokens), ("demo", 8), "started")
    counts = [event.delta.completion_tokens for event in events[1:-1]]
    equal(counts, sorted(counts), "completion_tokens")
    equal(finished.reason, whole.finished.reason, "reason")
    equal(finished.usage.total_tokens, whole.finished.usage.total_tokens, "total_tokens")
    equal("".join(event.delta.text for event in events[1:-1]), whole.text, "text")
    return f"{len(counts)} deltas"


def chat() -> str:
    with plain() as client:
        answer = client.inference.chat([user(FRANCE)], temperature=0, timeout=TIMEOUT_S)
    equal(answer.message.role, Role.ROLE_ASSISTANT, "role")
    expect("Paris" in answer.text, "Paris", answer.text)
    equal(answer.finished.reason, FinishReason.FINISH_REASON_EOS, "reason")
    return answer.text


def chat_stream() -> str:
    messages: list[Message] = []
    texts = []
    with plain() as client:
        for question, word in ((FRANCE, "Paris"), (SUM, "12")):
            messages.append(user(question))
            stream = client.inference.chat_stream(messages, temperature=0, timeout=TIMEOUT_S)
            text = "".join(map(str, stream))
            expect(word in text, word, text)
            reason = stream.finished and stream.finished.reason
            equal(reason, FinishReason.FINISH_REASON_EOS, "reason")
            messages.append(assistant(text))
            texts.append(text)
    return " ".join(texts)


def tokenize() -> str:
    with plain() as client:
        tokens = client.inference.tokenize(MIXED, timeout=TIMEOUT_S).tokens
        equal(len(tokens), 15, "tokens")
        equal(b"".join(token.piece for token in tokens), MIXED.encode(), "pieces")
        joined = client.inference.detokenize([token.id for token in tokens], timeout=TIMEOUT_S)
        equal((joined.text, joined.raw), (MIXED, MIXED.encode()), "text and raw")
        counted = client.inference.count_tokens(MIXED, timeout=TIMEOUT_S)
        equal((counted.tokens, counted.sequence_limit), (15, 2048), "count and limit")
        equal(client.inference.count_tokens([user(SUM)], timeout=TIMEOUT_S).tokens, 20, "count")
    return f"{len(tokens)} tokens"


def embed() -> str:
    inputs = [
        "A dog sleeps on the warm stones.",
        "A cat sleeps on the warm stones.",
        "Integers are closed under addition.",
    ]
    with plain() as client:
        plainly = client.inference.embed(inputs, packed=False, timeout=TIMEOUT_S)
        packed = client.inference.embed(inputs, packed=True, timeout=TIMEOUT_S)
    for answer, arm in ((plainly, "values"), (packed, "packed")):
        equal([e.index for e in answer.proto.embeddings], [0, 1, 2], "indexes")
        expect(all(getattr(e, arm) for e in answer.proto.embeddings), arm)
        for vector in answer.vectors:
            _unit(vector)
    likeness = [sum(map(mul, plainly.vectors[0], other)) for other in plainly.vectors[1:]]
    expect(likeness[0] > 0.6 > likeness[1], "the cat nearer than integers", likeness)
    pairs = zip(plainly.vectors, packed.vectors, strict=True)
    apart = max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))
    expect(apart <= 1e-6, "the same numbers in both encodings", apart)
    return f"{likeness[0]:.2f} and {likeness[1]:.2f}"


def _unit(vector: Sequence[float]) -> None:
    equal(len(vector), 256, "numbers")
    length = math.hypot(*vector)
    expect(abs(length - 1) <= 0.001, "length 1", length)


def embed_stream_1000() -> str:
    inputs = [f"Sentence number {number}." for number in range(1000)]
    with plain() as client, client.inference.embed_stream(inputs, timeout=TIMEOUT_S) as stream:
        messages = list(stream.events())
    expect(len(messages) > 1, "more than one message", len(messages))
    embeddings = [embedding for message in messages for embedding in message.embeddings]
    equal([embedding.index for embedding in embeddings], list(range(1000)), "indexes")
    for embedding in embeddings:
        _unit(Embedding(embedding).vector)
    *earlier, last = messages
    expect(not any(message.HasField("usage") for message in earlier), "usage at the end only")
    expect(last.usage.prompt_tokens > 1000, "usage", last.usage.prompt_tokens)
    return f"{len(messages)} messages"


def utf8_split_over_tokens() -> str:
    horse = "🐎"
    with plain() as client:
        stream = client.inference.generate_stream(
            "A horse: ",
            max_tokens=8,
            tokens=True,
            temperature=0,
            frequency_penalty=100,
            logit_bias={172: 1000, 253: 975, 238: 950, 236: 925},
            timeout=TIMEOUT_S,
        )
        deltas = list(stream)
    pieces = [token.piece for delta in deltas for token in delta.tokens]
    equal(pieces, [bytes([byte]) for byte in (horse * 2).encode()], "pieces")
    texts = [delta.text for delta in deltas]
    expect(not any(text.replace(horse, "") for text in texts), "whole characters", texts)
    equal("".join(texts), horse * 2, "text")
    return f"{len(pieces)} tokens, {len(texts)} deltas"


def cancel_mid_stream() -> str:
    with plain() as client:
        began = time.monotonic()
        with client.inference.generate_stream(
            S, max_tokens=2000, ignore_eos=True, temperature=0, timeout=TIMEOUT_S
        ) as stream:
            for _ in range(3):
                next(stream)
        poll_until_idle(client)
        took_s = time.monotonic() - began
        answer = client.inference.generate(
            "Hi", max_tokens=4, ignore_eos=True, temperature=0, timeout=TIMEOUT_S
        )
    equal(answer.finished.usage.completion_tokens, 4, "tokens afterwards")
    return f"idle after {took_s:.2f} s"


CASES: Mapping[str, Case] = {
    "generate": generate,
    "generate_stream": generate_stream,
    "chat": chat,
    "chat_stream": chat_stream,
    "tokenize": tokenize,
    "embed": embed,
    "embed_stream_1000": embed_stream_1000,
    "utf8_split_over_tokens": utf8_split_over_tokens,
    "cancel_mid_stream": cancel_mid_stream,
}
