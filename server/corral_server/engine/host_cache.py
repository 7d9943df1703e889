"""The prefix cache's second level: what left the KV cache, in host memory, within so many bytes."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from corral_server.engine.prefix_tree import common_length


@dataclass(slots=True, eq=False)
class Entry:
    """The state of a sequence behind `tokens`. `state` is empty until it was copied."""

    scope: str
    tokens: list[int]
    state: bytearray = field(default_factory=bytearray, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """The first `length` tokens of what was looked for are those of `entry`."""

    entry: Entry
    length: int


class HostCache:
    """Keeps what was used last. `whole`: an entry is of use only if all its tokens are wanted, as
    for models that cannot drop a part of a sequence."""

    def __init__(self, *, budget_bytes: int, whole: bool) -> None:
        self._budget = budget_bytes
        self._whole = whole
        self._entries: OrderedDict[int, Entry] = OrderedDict()

    @property
    def num_bytes(self) -> int:
        return sum(len(entry.state) for entry in self._entries.values())

    def find(self, scope: str, tokens: Sequence[int]) -> Found | None:
        """The entry that shares the longest beginning with `tokens`."""
        best: Found | None = None
        for entry in self._entries.values():
            if entry.scope != scope:
                continue
            length = common_length(entry.tokens, tokens)
            if self._whole and length < len(entry.tokens):
                continue
            if length > (best.length if best else 0):
                best = Found(entry, length)
        if best is not None:
            self._entries.move_to_end(id(best.entry))
        return best

    def reserve(self, scope: str, tokens: list[int]) -> Entry | None:
        """A place for the state behind `tokens`, to be filled; None if it is known already. What
        the new entry covers goes."""
        covered: list[int] = []
        for key, entry in self._entries.items():
            if entry.scope != scope:
                continue
            length = common_length(entry.tokens, tokens)
            if length == len(tokens) and (not self._whole or length == len(entry.tokens)):
                self._entries.move_to_end(key)
                return None
            if length == len(entry.tokens) and not self._whole:
                covered.append(key)
        for key in covered:
            del self._entries[key]
        made = Entry(scope, tokens)
        self._entries[id(made)] = made
        return made

    def settle(self) -> None:
        """Drops what was used longest ago until the rest fits, and entries that stayed empty."""
        for key in [key for key, entry in self._entries.items() if not entry.state]:
            del self._entries[key]
        total = self.num_bytes
        while total > self._budget:
            _, oldest = self._entries.popitem(last=False)
            total -= len(oldest.state)
