"""The prefix cache's second level: what left the KV cache, in host memory, within so many bytes."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from corral_server.engine.prefix_tree import Match, PrefixTree
from corral_server.llama.host_memory import HostMemory, State


@dataclass(slots=True, eq=False)
class Entry:
    """The state of a sequence behind `tokens`. `state` is empty until it was copied, into memory
    that `take` has made room in."""

    scope: str
    tokens: list[int]
    take: Callable[[int], State] = field(repr=False)
    state: State = field(default_factory=bytearray, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """The first `length` tokens of what was looked for are those of `entry`."""

    entry: Entry
    length: int


class HostCache:
    """Keeps what was used last. `whole`: an entry is of use only if all its tokens are wanted, as
    for models that cannot drop a part of a sequence."""

    def __init__(self, memory: HostMemory, *, whole: bool) -> None:
        """States take as many bytes as `memory` has."""
        self._memory = memory
        self._whole = whole
        self._in_use: set[int] = set()
        self._left: list[Entry] = []
        self._token_bytes = 0.0
        self._tree = PrefixTree()
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._keys = count()

    @property
    def num_bytes(self) -> int:
        return sum(len(entry.state) for entry in self._entries.values())

    def find(self, scope: str, tokens: Sequence[int]) -> Found | None:
        """The entry that shares the longest beginning with `tokens`."""
        best = self._best(scope, tokens)
        if best.sequence is None:
            return None
        self._entries.move_to_end(best.sequence)
        self._in_use.add(best.sequence)
        return Found(self._entries[best.sequence], best.length)

    def reserve(self, scope: str, tokens: list[int]) -> Entry | None:
        """A place for the state behind `tokens`, to be filled; None if it is known already. What
        the new entry covers goes."""
        best = self._best(scope, tokens)
        if best.sequence is not None and best.length == len(tokens):
            self._entries.move_to_end(best.sequence)
            return None
        if not self._whole:
            for key in self._tree.covered(scope, tokens):
                self._drop(key)
        return self._add(Entry(scope, tokens, self._take))

    def expect(self, num_tokens: int) -> None:
        """So many tokens may come to be saved soon."""
        self._memory.make_ready(int(num_tokens * self._token_bytes))

    def settle(self) -> None:
        """Drops entries that stayed empty or for which there is no memory. To be called when what
        was reserved is filled, and what was found is read."""
        for entry in self._left:
            self._give_back(entry)
        self._left.clear()
        self._in_use = {
            key for key, entry in self._entries.items() if isinstance(entry.state, bytearray)
        }
        for key in sorted(self._in_use):
            self._move_in(key)
        self._in_use.clear()
        if self._entries:
            latest = next(reversed(self._entries.values()))
            self._token_bytes = len(latest.state) / len(latest.tokens)

    def _move_in(self, key: int) -> None:
        """Gives an entry memory that counts, now that there may be some; else drops it."""
        entry = self._entries[key]
        state = self._take(len(entry.state)) if entry.state else entry.state
        if isinstance(state, bytearray):
            self._pop(key)
        else:
            state[:] = entry.state
            entry.state = state

    def _take(self, size: int) -> State:
        """Memory for a state, for which what was used longest ago goes; but what is yet to be
        filled or read stays. Where that is not enough, memory outside, until `settle`."""
        while size <= self._memory.size:
            if (state := self._memory.take(size)) is not None:
                return state
            oldest = next((key for key in self._entries if key not in self._in_use), None)
            if oldest is None:
                break
            self._give_back(self._pop(oldest))
        return bytearray(size)

    def _give_back(self, entry: Entry) -> None:
        if isinstance(entry.state, memoryview):
            self._memory.give_back(entry.state)

    def _best(self, scope: str, tokens: Sequence[int]) -> Match:
        if not self._whole:
            return self._tree.match(scope, tokens)
        covered = self._tree.covered(scope, tokens)
        if not covered:
            return Match(0, None)
        return Match(self._tree.length(covered[-1]), covered[-1])

    def _add(self, entry: Entry) -> Entry:
        key, known = next(self._keys), self._tree.match(entry.scope, entry.tokens).length
        self._tree.attach(key, entry.scope, entry.tokens[:known])
        self._tree.extend(key, entry.tokens[known:])
        self._entries[key] = entry
        self._in_use.add(key)
        return entry

    def _drop(self, key: int) -> None:
        # It may still be about to be read, or filled.
        self._left.append(self._pop(key))

    def _pop(self, key: int) -> Entry:
        self._tree.remove(key)
        return self._entries.pop(key)
