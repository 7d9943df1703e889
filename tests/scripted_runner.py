"""A model that is a script: bytes are its tokens, and what it says follows from what it was told.

Its next token depends on every token in its cache, so a scheduler that loses, repeats or mixes up
tokens gets another answer than a sequence that runs alone.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from corral_server.engine.batch import Batch, Forget, Operation, Restore, Save, Share
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


@dataclass(eq=False, slots=True)
class Cell:
    """A token in the cache; slots that share it hold the same one."""

    token: int


class ScriptedRunner:
    """Keeps the cells a cache would hold, and holds the scheduler to its word about them."""

    def __init__(self, next_token: NextToken = next_letter, *, cells: int = 1 << 20) -> None:
        self._next_token = next_token
        self._num_cells = cells
        self.slots: dict[int, list[Cell]] = {}
        self.before_step: Callable[[], None] = lambda: None
        self.num_interrupts = 0
        self._picked: list[int] = []

    @property
    def num_cells(self) -> int:
        """Cells that hold something, each counted once however many slots share it."""
        return len({cell for cells in self.slots.values() for cell in cells})

    def sampler(self, request: GenerationRequest, prompt: list[int]) -> Sampler | None:
        return None

    def interrupt(self) -> None:
        self.num_interrupts += 1

    def compute(self, batch: Batch) -> None:
        self.before_step()
        self.carry_out(batch.operations)
        if batch.num_tokens + self.num_cells > self._num_cells:
            raise NoCells
        self._picked = []
        for item in batch.items:
            sequence = item.sequence
            assert sequence.slot is not None
            cells = self.slots.setdefault(sequence.slot, [])
            held = [cell.token for cell in cells]
            assert held == sequence.tokens[: sequence.num_computed], "a slot holds other tokens"
            new = sequence.tokens[len(cells) : len(cells) + item.count]
            cells += map(Cell, new)
            if item.closes_gap:
                self._picked.append(self._next_token(held + new))

    def pick(self, batch: Batch) -> list[int]:
        return self._picked

    def carry_out(self, operations: list[Operation]) -> None:
        for operation in operations:
            self._carry_out(operation)

    def _carry_out(self, operation: Operation) -> None:
        match operation:
            case Forget(slot, start, end):
                cells = self.slots.get(slot, [])
                # A gap in the middle stays open until it is shared into.
                missing = [] if end is None else [Cell(-1)] * (min(end, len(cells)) - start)
                self.slots[slot] = cells[:start] + missing + ([] if end is None else cells[end:])
                if not self.slots[slot]:
                    del self.slots[slot]
            case Share(source, slot, start, end):
                held = self.slots.setdefault(slot, [])
                assert len(held) >= start
                held[start:end] = self.slots[source][start:end]
            case Save(slot, entry):
                assert [cell.token for cell in self.slots[slot]] == entry.tokens
                text = b"%d" % len(entry.tokens)
                entry.state = entry.take(len(text))
                entry.state[:] = text
            case Restore(entry, slot):
                assert slot not in self.slots, "a slot must be empty before it is filled"
                assert int(bytes(entry.state)) == len(entry.tokens)
                self.slots[slot] = list(map(Cell, entry.tokens))
                assert self.num_cells <= self._num_cells
            case _:
                assert_never(operation)
