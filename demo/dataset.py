"""Packs documents into rows of tokens: most rows short, some as long as the whole context."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.corpus.dialogue import Conversation
from demo.tokenizer import DemoTokenizer, Tokens, Weights

ROW_LENGTHS = (256, 512, 2048)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one length. Position t predicts `targets[t]`, which counts `weights[t]`.

    `segments` numbers the documents of a row; a token sees only its own.
    """

    tokens: NDArray[np.int16]
    targets: NDArray[np.int16]
    weights: NDArray[np.float16]
    segments: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def row_length(self) -> int:
        return int(self.tokens.shape[1])


def build(documents: Iterable[Conversation | str], tokenizer: DemoTokenizer) -> list[Rows]:
    """Rows of each length. A document goes where the shortest rows can hold it whole."""
    packers = [_Packer(length) for length in ROW_LENGTHS]
    longest = ROW_LENGTHS[-1]
    for document in documents:
        tokens, weights = tokenizer.encode_document(document)
        packer = next((p for p in packers if len(tokens) <= p.row_length), packers[-1])
        packer.add(tokens[:longest], weights[:longest])
    return [packer.rows() for packer in packers]


def save(path: Path, sources: list[Rows]) -> None:
    arrays = {
        f"{name}_{index}": getattr(rows, name)
        for index, rows in enumerate(sources)
        for name in Rows.__slots__
    }
    np.savez(path, allow_pickle=False, **arrays)


def load(path: Path) -> list[Rows]:
    with np.load(path) as arrays:
        return [
            Rows(**{name: arrays[f"{name}_{index}"] for name in Rows.__slots__})
            for index in range(len(ROW_LENGTHS))
        ]


class _Packer:
    """First fit over a handful of open rows."""

    _NUM_OPEN = 32

    def __init__(self, row_length: int) -> None:
        self.row_length = row_length
        self._open: list[list[tuple[Tokens, Weights]]] = []
        self._closed: list[list[tuple[Tokens, Weights]]] = []

    def add(self, tokens: Tokens, weights: Weights) -> None:
        for row in self._open:
            if sum(len(t) for t, _ in row) + len(tokens) <= self.row_length:
                row.append((tokens, weights))
                return
        if len(self._open) == self._NUM_OPEN:
            fullest = max(self._open, key=lambda row: sum(len(t) for t, _ in row))
            self._open.remove(fullest)
            self._closed.append(fullest)
        self._open.append([(tokens, weights)])

    def rows(self) -> Rows:
        rows = self._closed + self._open
        size = (len(rows), self.row_length)
        tokens = np.zeros(size, np.int16)
        targets = np.zeros(size, np.int16)
        weights = np.zeros(size, np.float16)
        segments = np.full(size, -1, np.int16)
        for index, row in enumerate(rows):
            for segment, start, (document, importance) in _placed(row):
                end = start + len(document)
                tokens[index, start:end] = document
                segments[index, start:end] = segment
                targets[index, start : end - 1] = document[1:]
                weights[index, start : end - 1] = importance[1:]
        return Rows(tokens, targets, weights, segments)


def _placed(
    row: list[tuple[Tokens, Weights]],
) -> Iterator[tuple[int, int, tuple[Tokens, Weights]]]:
    start = 0
    for segment, document in enumerate(row):
        yield segment, start, document
        start += len(document[0])
