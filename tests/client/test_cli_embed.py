"""The embed command."""

import pytest

from corral.cli.embed import nearest_pairs
from corral.v1.embedding_pb2 import Embedding
from corral.v1.inference_pb2 import EmbedStreamResponse

from .command import Corral
from .scripted_server import (
    VECTORS,
    ScriptedServer,
)


def test_embed_shows_the_first_numbers(corral: Corral, server: ScriptedServer) -> None:
    flags = "-m small --pooling last --no-normalize".split()
    header, first, second = corral("embed", "one\nline", "x" * 60, *flags).out.splitlines()
    assert header.split() == ["tokens", "text", "vector"]
    assert first.split() == "0 2 one line +0.5000 -1.0000 +0.2500".split()
    assert f" {'x' * 47}... " in second
    (request,) = server.requests
    assert (request.model, request.pooling, request.normalize) == ("small", 3, False)
    server.answers["EmbedStream"] = lambda *_: iter(
        [EmbedStreamResponse(embeddings=[Embedding(values=range(384))])]
    )
    assert corral("embed", "one").out.endswith("+3.0000 +4.0000 ... (384)\n")


def test_embed_reads_the_lines_of_a_pipe(corral: Corral, server: ScriptedServer) -> None:
    corral("embed", stdin="one\n\ntwo\n")
    assert [each.text for each in server.requests[0].inputs] == ["one", "two"]


def test_embed_json_has_the_numbers(corral: Corral) -> None:
    first, second = corral("embed", "one", "two", "--json").json
    assert (first["model"], first["embeddings"][0]["values"]) == ("demo", VECTORS[0])
    assert second["usage"]["prompt_tokens"] == 6


def test_embed_nearest_ranks_the_pairs(corral: Corral) -> None:
    header, *rows = corral("embed", "one", "two", "three", "four", "--nearest").out.splitlines()
    assert header.strip() == "similarity"
    assert len(rows) == 6
    assert rows[0].split() == ["1.0000", "one", "four"], "the fourth vector is the first again"
    similarities = [float(row.split()[0]) for row in rows]
    assert similarities == sorted(similarities, reverse=True)


def test_pairs_are_compared_by_their_angle() -> None:
    first, second = nearest_pairs([[1, 0], [0, 5], [9, 0.1], [0, 0]], 2)
    assert first == pytest.approx((1, 0, 2), abs=1e-3)
    assert second == pytest.approx((0.011, 1, 2), abs=1e-3)
