"""Prompts and texts nobody has sent before: random, of exact numbers of tokens."""

import numpy as np

from bench.load.plan import Conversation, Turn, Wave
from bench.shapes import BenchModel


class Prompts:
    """Draws from one model's vocabulary. Two with the same seed draw the same."""

    def __init__(self, model: BenchModel, seed: int) -> None:
        self._model = model
        self._random = np.random.default_rng(seed)

    def tokens(self, count: int) -> list[int]:
        words = self._model.words
        drawn: list[int] = self._random.integers(words.start, words.stop, count).tolist()
        return drawn

    def wave(self, streams: int, *, length: int, max_tokens: int) -> Wave:
        """So many single turns at once."""
        return [Conversation(turns=[Turn(self.tokens(length), max_tokens)]) for _ in range(streams)]

    def warm_up(self, streams: int) -> list[Wave]:
        """One prompt that fills a graph, then as many streams as will be measured: after them
        every buffer has the size it will have. Leaves next to nothing in a cache."""
        return [self.wave(1, length=600, max_tokens=4), self.wave(streams, length=8, max_tokens=4)]

    def lengths(self, count: int, least: int, most: int) -> list[int]:
        drawn: list[int] = self._random.integers(least, most + 1, count).tolist()
        return drawn

    def text(self, tokens: int) -> str:
        """A text of so many tokens."""
        return "".join(self._random.choice(self._model.pieces, tokens))
