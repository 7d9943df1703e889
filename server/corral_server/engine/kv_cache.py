"""Who holds which cells of the KV cache: running sequences, and finished ones that are kept for
prompts that begin like them.

It decides and counts; what has to move comes out as operations for the runner. Cells are never
promised twice: whoever wants some asks `make_room` first.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from corral_server.engine.batch import Forget, Operation, Restore, Save, Share
from corral_server.engine.host_cache import HostCache
from corral_server.engine.prefix_tree import PrefixTree

# Less is not worth a second copy, nor a wait for somebody else's.
WORTH_SHARING = 32

# Cells are taken from the kept in pieces, so that a growing answer does not ask at every token.
_PIECE = 64

# What takes longer to copy than a request should wait is copied when it has to be.
_SOON_COPIED = 512

# How the share of kept cells changes with a prompt that was found there, and with one that was not.
# After one that was, it is at least so much.
_GROWS, _SHRINKS, _FOUND_SHARE = 2.0, 0.8, 1 / 8


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept.

    `keeps`: whether finished sequences stay. `whole`: the model cannot drop a part of a sequence,
    so cells are never shared, and only checkpoints in host memory help. `least_share`: part of the
    cells that finished sequences may take in any case while others run, `most_share` what they may
    come to take. Every cell that holds something costs those time, so more than the least is only
    for prompts that are found there.
    """

    keeps: bool = True
    whole: bool = False
    least_share: float = 1.0
    most_share: float = 1.0

    @property
    def shares(self) -> bool:
        return self.keeps and not self.whole

    @property
    def gives_all_up(self) -> bool:
        """Whether finished sequences leave as soon as others run."""
        return self.shares and self.most_share == 0.0


class KvCache:
    """`slots` ids, of which running sequences use some and kept ones the others."""

    def __init__(
        self, *, cells: int, slots: int, policy: Policy, host: HostCache | None = None
    ) -> None:
        self.cells = cells
        self._policy = policy
        self._host = host
        self._tree = PrefixTree()
        self._free = list(range(slots))
        self._kept: OrderedDict[int, str] = OrderedDict()
        self._scopes: dict[int, str] = {}
        self._operations: list[Operation] = []
        self._uncopied: set[int] = set()
        self._kept_share = policy.most_share

    @property
    def num_free(self) -> int:
        """Cells that hold nothing."""
        return self.cells - self._tree.num_cells

    @property
    def num_used(self) -> int:
        """Cells that running sequences hold."""
        return self._tree.cells_of(list(self._scopes))

    @property
    def num_kept(self) -> int:
        """Cells that only finished sequences hold."""
        return self._tree.num_cells - self.num_used

    @property
    def shares(self) -> bool:
        """Whether sequences can hold the same cells."""
        return self._policy.shares

    @property
    def wants_checkpoints(self) -> bool:
        """Whether prompts should stop one token before their end to be saved."""
        return self._policy.whole and self._host is not None

    @property
    def has_operations(self) -> bool:
        return bool(self._operations)

    def take_operations(self) -> list[Operation]:
        """What has to happen before the next step, in order."""
        taken, self._operations = self._operations, []
        return taken

    def settle(self) -> None:
        """To be called when operations were carried out."""
        if self._host is not None:
            self._host.settle()

    def match(self, scope: str, tokens: Sequence[int]) -> int:
        """How many of the first tokens are in the cache."""
        return self._tree.match(scope, tokens).length if self.shares else 0

    def open(self, scope: str, tokens: Sequence[int]) -> tuple[int, int]:
        """A slot that holds as many of the first `tokens` as are known, and how many these are."""
        if not self.shares:
            slot = self._take_slot()
            self._scopes[slot] = scope
            self._tree.attach(slot, self._tree_scope(slot), [])
            return slot, self._restore(slot, tokens, 0)
        match = self._tree.match(scope, tokens)
        self._learn(match.length)
        if match.sequence is not None and match.sequence in self._kept:
            self._kept.move_to_end(match.sequence)
        slot = self._take_slot(but=match.sequence)
        self._scopes[slot] = scope
        if slot == match.sequence:
            self._operations.append(Forget(slot, match.length))
        self._tree.attach(slot, scope, tokens[: match.length])
        if match.sequence is not None and slot != match.sequence:
            self._share(match.sequence, slot, 0, match.length)
        return slot, self._restore(slot, tokens, match.length)

    def adopt(self, slot: int, tokens: Sequence[int], computed: int) -> int:
        """Lets `slot`, which holds `computed` of `tokens`, share what others have computed of them
        meanwhile. Returns how many it holds then."""
        if not self.shares:
            return computed
        scope = self._scopes[slot]
        match = self._tree.match(scope, tokens)
        if match.length <= computed or match.sequence is None:
            return computed
        self._tree.attach(slot, scope, tokens[: match.length])
        self._share(match.sequence, slot, computed, match.length)
        return match.length

    def extend(self, slot: int, tokens: Sequence[int]) -> None:
        """`slot` has computed `tokens` behind those it held."""
        for twin in self._tree.extend(slot, tokens):
            self._operations.append(Forget(slot, twin.start, twin.end))
            self._operations.append(Share(twin.sequence, slot, twin.start, twin.end))

    def close(self, slot: int) -> None:
        """`slot` runs no more. What it holds stays, unless others hold it too."""
        if self.shares and not self._tree.is_covered(slot):
            self._kept[slot] = self._scopes.pop(slot)
            if self._policy.gives_all_up and self._tree.length(slot) <= _SOON_COPIED:
                self._uncopied.add(slot)
            return
        if self.wants_checkpoints:
            self.checkpoint(slot)
        del self._scopes[slot]
        self._drop(slot)

    def checkpoint(self, slot: int) -> None:
        """Copies what a running `slot` holds to host memory."""
        self._save(slot, self._scopes[slot])

    def copy_ahead(self) -> None:
        """Copies one of the kept sequences that will have to leave to host memory, so that it
        leaves in no time."""
        while self._uncopied and not self._operations:
            slot = self._uncopied.pop()
            if slot in self._kept:
                self._save(slot, self._kept[slot])

    def make_room(self, count: int) -> int:
        """Gives up kept cells until `count` are free, if it can. Returns how many are free."""
        while self.num_free < count and self._kept:
            self._evict(count - self.num_free)
        return self.num_free

    def tidy(self) -> None:
        """Gives up kept cells beyond their share, those used longest ago first. Before cells are
        taken: what runs then lies close together, and it is the last cell in use that counts.
        Whatever is in use then may be the next to leave."""
        most = int(self.cells * self._kept_share)
        while self._kept and (over := self.num_kept - most) > 0:
            self._evict(over)
        if self._host is not None:
            self._host.expect(self._tree.num_cells)

    def _learn(self, found: int) -> None:
        """Kept cells earn their place by being found."""
        if found >= WORTH_SHARING:
            grown = max(self._kept_share * _GROWS, _FOUND_SHARE)
            self._kept_share = min(grown, self._policy.most_share)
        else:
            self._kept_share = max(self._kept_share * _SHRINKS, self._policy.least_share)

    def _share(self, source: int, slot: int, start: int, end: int) -> None:
        self._operations.append(Share(source, slot, start, end))
        if source in self._kept and self._tree.is_covered(source):
            del self._kept[source]
            self._drop(source)

    def _restore(self, slot: int, tokens: Sequence[int], known: int) -> int:
        """Takes from host memory what is longer than the `known` tokens `slot` holds."""
        found = self._host.find(self._scopes[slot], tokens) if self._host is not None else None
        if found is None or found.length < known + WORTH_SHARING:
            return known
        whole = len(found.entry.tokens)
        if self.make_room(whole) < whole:
            return known
        if known:
            self._tree.attach(slot, self._tree_scope(slot), [])
            self._operations.append(Forget(slot))
        self._operations.append(Restore(found.entry, slot))
        if found.length < whole:
            self._operations.append(Forget(slot, found.length))
        self.extend(slot, tokens[: found.length])
        return found.length

    def _tree_scope(self, slot: int) -> str:
        """Cells that cannot be shared must not be counted as shared: each slot has its own."""
        return self._scopes[slot] if self.shares else f"\0{slot}"

    def _take_slot(self, *, but: int | None = None) -> int:
        """A free one; else that of the sequence kept longest, `but` only if there is no other."""
        if self._free:
            return self._free.pop(0)
        slot = next((slot for slot in self._kept if slot != but), but)
        assert slot is not None, "there are as many slots as may run"
        if slot == but:
            del self._kept[slot]
            return slot
        self._give_up(slot)
        return self._free.pop(0)

    def _evict(self, count: int) -> None:
        """Frees cells of the sequence used longest ago: all if they can be kept elsewhere, else
        about `count` from its end, since its beginning is more likely to be asked for."""
        slot = next(iter(self._kept))
        if self._host is not None:
            self._give_up(slot)
            return
        trimmed = self._tree.trim(slot, max(count, _PIECE))
        if trimmed == 0 or self._tree.is_covered(slot):
            del self._kept[slot]
            self._drop(slot)
        else:
            self._operations.append(Forget(slot, self._tree.length(slot)))

    def _give_up(self, slot: int) -> None:
        self._save(slot, self._kept.pop(slot))
        self._drop(slot)

    def _save(self, slot: int, scope: str) -> None:
        tokens = self._tree.tokens(slot)
        if self._host is None or len(tokens) < WORTH_SHARING:
            return
        if (entry := self._host.reserve(scope, tokens)) is not None:
            self._operations.append(Save(slot, entry))

    def _drop(self, slot: int) -> None:
        self._tree.remove(slot)
        self._operations.append(Forget(slot))
        self._free.append(slot)
