"""A model that is a script: bytes are its tokens, and what it says follows from what it was told.

Its next token depends on every token in its cache, so a scheduler that loses, repeats or mixes up
tokens gets another answer than a sequence that runs alone.
"""

import hashlib
from collections.abc import Callable, Iterable

from corral_server.engine.batch import Batch
from corral_server.engine.sequence import Sampler
from corral_server.llama.context import NoCells
from corral_server.request import GenerationRequest

END = 256
END_TEXT = "<end>"

NextToken = Callable[[list[int]], int]


def next_letter(tokens: list[int]) -> int:
    """Some letter that all of `tokens` decide."""
    return ord("a") + hashlib.blake2b(repr(tokens).encode()).digest()[0] % 26


def saying(answer: str, *, after: int) -> NextToken:
    """Says `answer` behind a prompt of `after` tokens, then the end."""
    spoken = [*answer.encode(), END]
    return lambda tokens: spoken[len(tokens) - after]


def alone(prompt: list[int], count: int, next_token: NextToken = next_letter) -> list[int]:
    """The first `count` tokens of the answer to `prompt`."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(next_token(tokens))
    return tokens[len(prompt) :]


class ScriptedVocabulary:
    """The 256 bytes and an end token."""

    def __init__(self) -> None:
        self.size = 257
        self.pieces = [bytes([byte]) for byte in range(256)] + [b""]
        self.full_pieces = [*self.pieces[:END], END_TEXT.encode()]
        self.end_tokens = frozenset({END})
        self.control_texts = frozenset({END_TEXT})
        self.adds_start = False
        self.start_text = ""
        self.end_text = END_TEXT

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        if not parse_special:
            return list(text.encode())
        first, *others = text.split(END_TEXT)
        return [*first.encode(), *(token for text in others for token in [END, *text.encode()])]

    def detokenize(self, tokens: Iterable[int], *, unparse_special: bool) -> bytes:
        pieces = self.full_pieces if unparse_special else self.pieces
        return b"".join(pieces[token] for token in tokens)


class ScriptedRunner:
    """Keeps the cells a cache would hold, and holds the scheduler to its word about them."""

    def __init__(self, next_token: NextToken = next_letter, *, cells: int = 1 << 20) -> None:
        self._next_token = next_token
        self._num_cells = cells
        self.cells: dict[int, list[int]] = {}
        self.before_step: Callable[[], None] = lambda: None

    def sampler(self, request: GenerationRequest, prompt: list[int]) -> Sampler | None:
        return None

    def execute(self, batch: Batch) -> list[int]:
        self.before_step()
        for slot in batch.freed:
            self.cells.pop(slot, None)
        added = sum(item.count for item in batch.items)
        if added + sum(map(len, self.cells.values())) > self._num_cells:
            raise NoCells
        picked: list[int] = []
        for item in batch.items:
            sequence = item.sequence
            assert sequence.slot is not None
            cells = self.cells.setdefault(sequence.slot, [])
            assert len(cells) == sequence.num_computed, "a slot must be freed before it is reused"
            cells += sequence.tokens[len(cells) : len(cells) + item.count]
            if item.closes_gap:
                picked.append(self._next_token(cells))
        return picked
