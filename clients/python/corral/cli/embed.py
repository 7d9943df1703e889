"""The embed command: texts as vectors, and which are most alike."""

import sys
from collections.abc import Sequence
from heapq import nlargest
from itertools import combinations
from operator import mul
from typing import Annotated, NamedTuple

import typer

from corral.cli.options import Address, Json, ModelId
from corral.cli.output import harmless, print_json, stdout, table
from corral.embeddings import Embedding
from corral.sync import Client
from corral.words import PoolingWord

SHOWN = 5  # numbers of each vector
NEAREST = 10  # pairs
WIDTH = 50  # characters of a text


class Pair(NamedTuple):
    """Two texts, by their indexes, and how alike they are: 1 is the same direction."""

    similarity: float
    first: int
    second: int


def embed(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Default: the lines of standard input."),
    ] = None,
    model: ModelId = None,
    pooling: Annotated[
        PoolingWord | None,
        typer.Option(help="How the vectors of tokens become one. Default: as it was loaded."),
    ] = None,
    normalize: Annotated[
        bool | None, typer.Option(help="Scale vectors to length 1. Default: they are.")
    ] = None,
    nearest: Annotated[
        bool, typer.Option("--nearest", help=f"Show the {NEAREST} most similar pairs instead.")
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Turn texts into vectors."""
    given = texts or _lines()
    with (
        Client(address) as client,
        client.inference.embed_stream(
            given, model=model, pooling=pooling, normalize=normalize, packed=not as_json
        ) as stream,
    ):
        if as_json:
            for event in stream.events():
                print_json(event)
        elif nearest:
            _show_nearest(given, list(stream))
        else:
            _show(given, list(stream))


def _lines() -> list[str]:
    """The lines of standard input that are not empty."""
    lines = [] if sys.stdin.isatty() else [line for line in sys.stdin.read().splitlines() if line]
    if not lines:
        raise typer.BadParameter("write texts, or pipe lines in")
    return lines


def _show(texts: Sequence[str], found: Sequence[Embedding]) -> None:
    rows = table("", "tokens", "text", "vector", numbers=("", "tokens"), wrapped=["vector"])
    for embedding in found:
        vector = embedding.vector
        numbers = " ".join(f"{number:+.4f}" for number in vector[:SHOWN])
        more = f" ... ({len(vector)})" if len(vector) > SHOWN else ""
        rows.add_row(
            str(embedding.index),
            str(embedding.tokens),
            _short(texts[embedding.index]),
            numbers + more,
        )
    stdout().print(rows)


def _show_nearest(texts: Sequence[str], found: Sequence[Embedding]) -> None:
    rows = table("similarity", "", "", numbers=["similarity"], wrapped=[""])
    for pair in nearest_pairs([embedding.vector for embedding in found], NEAREST):
        rows.add_row(
            f"{pair.similarity:.4f}", _short(texts[pair.first]), _short(texts[pair.second])
        )
    stdout().print(rows)


def nearest_pairs(vectors: Sequence[Sequence[float]], limit: int) -> list[Pair]:
    """The pairs with the smallest angles between them, the nearest first."""
    lengths = [sum(map(mul, vector, vector)) ** 0.5 or 1.0 for vector in vectors]
    pairs = (
        Pair(sum(map(mul, vectors[a], vectors[b])) / (lengths[a] * lengths[b]), a, b)
        for a, b in combinations(range(len(vectors)), 2)
    )
    return nlargest(limit, pairs)


def _short(text: str) -> str:
    line = harmless(" ".join(text.split()))
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
