"""Which sequences of the KV cache hold which tokens: a radix tree, one for each scope.

It mirrors the cache exactly. An edge's tokens are cells; a sequence holds the cells on its way from
the root. Whatever two sequences of a scope have computed alike from the start is one way, so it is
counted once, and it takes cells once. The idea is that of SGLang's RadixAttention; here the
sequences are llama.cpp's, which share cells under several ids.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Node:
    """`tokens` lead here from `parent`; `ends` are the sequences that go no further."""

    tokens: list[int]
    parent: "Node | None"
    children: dict[int, "Node"] = field(default_factory=dict)
    ends: set[int] = field(default_factory=set)

    def some_sequence(self) -> int:
        """One of those that hold this node's tokens."""
        node = self
        while not node.ends:
            node = next(iter(node.children.values()))
        return next(iter(node.ends))


@dataclass(frozen=True, slots=True)
class Match:
    """The first `length` tokens are in the cache, under `sequence`; None if there are none."""

    length: int
    sequence: int | None


@dataclass(frozen=True, slots=True)
class Twin:
    """Tokens `start` to `end` of a sequence that `sequence` had computed already."""

    sequence: int
    start: int
    end: int


class PrefixTree:
    """`num_cells` is what all sequences take together."""

    def __init__(self) -> None:
        self._roots: dict[str, Node] = {}
        self._ends: dict[int, Node] = {}
        self.num_cells = 0

    def match(self, scope: str, tokens: Sequence[int]) -> Match:
        """The longest beginning of `tokens` that some sequence of the scope holds."""
        node, length = self._roots.get(scope), 0
        found: Node | None = None
        while node is not None and length < len(tokens):
            node = node.children.get(tokens[length])
            if node is None:
                break
            common = common_length(node.tokens, tokens[length : length + len(node.tokens)])
            length += common
            found = node
            if common < len(node.tokens):
                break
        return Match(length, found.some_sequence() if found is not None else None)

    def covered(self, scope: str, tokens: Sequence[int]) -> list[int]:
        """The sequences of the scope all of whose tokens are the first of `tokens`, the shortest
        first."""
        node, length = self._roots.get(scope), 0
        covered: list[int] = []
        while node is not None and node.tokens == list(tokens[length : length + len(node.tokens)]):
            covered += node.ends
            length += len(node.tokens)
            node = node.children.get(tokens[length]) if length < len(tokens) else None
        return covered

    def attach(self, sequence: int, scope: str, tokens: Sequence[int]) -> None:
        """Lets `sequence` hold `tokens`, all of which are in the tree. It may hold the first of
        them already."""
        node, length = self._roots.setdefault(scope, Node([], None)), 0
        while length < len(tokens):
            node = node.children[tokens[length]]
            if length + len(node.tokens) > len(tokens):
                node = self._split(node, len(tokens) - length)
            length += len(node.tokens)
        before = self._ends.get(sequence)
        self._end(sequence, node)
        if before is not None:
            self._prune(before)

    def extend(self, sequence: int, tokens: Sequence[int]) -> list[Twin]:
        """Adds cells that `sequence` has just computed behind those it holds. Returns where others
        had computed the same: those cells of `sequence` count no more and must be dropped."""
        node = self._ends[sequence]
        if not node.children and len(node.ends) == 1 and node.parent is not None:
            # An answer that grows, token by token.
            self.num_cells += len(tokens)
            node.tokens += tokens
            return []
        twins: list[Twin] = []
        at, depth = 0, self.length(sequence)
        while at < len(tokens):
            child = node.children.get(tokens[at])
            if child is None:
                self.num_cells += len(tokens) - at
                node.children[tokens[at]] = child = Node(list(tokens[at:]), node)
                node = child
                break
            common = common_length(child.tokens, tokens[at : at + len(child.tokens)])
            if common < len(child.tokens):
                child = self._split(child, common)
            twins.append(Twin(child.some_sequence(), depth + at, depth + at + common))
            at += common
            node = child
        before = self._ends[sequence]
        self._end(sequence, node)
        self._prune(before)
        return twins

    def trim(self, sequence: int, count: int) -> int:
        """Drops up to `count` of the last tokens that only `sequence` holds; returns how many."""
        node = self._ends[sequence]
        if node.children or len(node.ends) > 1 or node.parent is None:
            return 0
        count = min(count, len(node.tokens))
        self.num_cells -= count
        del node.tokens[len(node.tokens) - count :]
        if not node.tokens:
            parent = node.parent
            self._end(sequence, parent)
            self._unlink(parent, node)
        return count

    def remove(self, sequence: int) -> None:
        """Forgets `sequence` and the cells that only it held."""
        node = self._ends.pop(sequence)
        node.ends.remove(sequence)
        self._prune(node)

    def is_covered(self, sequence: int) -> bool:
        """Whether others hold all that `sequence` holds."""
        node = self._ends[sequence]
        return bool(node.children) or len(node.ends) > 1 or node.parent is None

    def length(self, sequence: int) -> int:
        """Tokens `sequence` holds."""
        return sum(len(node.tokens) for node in self._way(sequence))

    def tokens(self, sequence: int) -> list[int]:
        """The tokens `sequence` holds."""
        edges = [node.tokens for node in self._way(sequence)]
        return [token for edge in reversed(edges) for token in edge]

    def cells_of(self, sequences: Sequence[int]) -> int:
        """What `sequences` take together."""
        return sum(len(node.tokens) for node in {node for s in sequences for node in self._way(s)})

    def _way(self, sequence: int) -> Iterator[Node]:
        """From where `sequence` ends up to the root."""
        node: Node | None = self._ends[sequence]
        while node is not None:
            yield node
            node = node.parent

    def _end(self, sequence: int, node: Node) -> None:
        before = self._ends.get(sequence)
        if before is not None:
            before.ends.discard(sequence)
        node.ends.add(sequence)
        self._ends[sequence] = node

    def _split(self, node: Node, length: int) -> Node:
        """Puts a node between `node` and its parent, so that it ends after `length` tokens."""
        assert node.parent is not None and 0 < length < len(node.tokens)
        upper = Node(node.tokens[:length], node.parent)
        node.parent.children[upper.tokens[0]] = upper
        node.tokens = node.tokens[length:]
        node.parent = upper
        upper.children[node.tokens[0]] = node
        return upper

    def _prune(self, node: Node) -> None:
        """Drops `node` if nobody holds it any more, and joins it with an only child."""
        while node.parent is not None and not node.ends and not node.children:
            self.num_cells -= len(node.tokens)
            parent = node.parent
            self._unlink(parent, node)
            node = parent
        if node.parent is not None and not node.ends and len(node.children) == 1:
            self._join(node)
        if node.parent is None and not node.ends and not node.children:
            self._roots = {scope: root for scope, root in self._roots.items() if root is not node}

    def _unlink(self, parent: Node, node: Node) -> None:
        for first, child in parent.children.items():
            if child is node:
                del parent.children[first]
                return

    def _join(self, node: Node) -> None:
        assert node.parent is not None
        (child,) = node.children.values()
        child.tokens = node.tokens + child.tokens
        child.parent = node.parent
        node.parent.children[child.tokens[0]] = child


def common_length(one: Sequence[object], other: Sequence[object]) -> int:
    """Of how many tokens both begin alike."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    low, high = 0, length
    while low + 1 < high:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
