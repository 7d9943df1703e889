"""Which sequences hold which tokens, and how many cells that takes."""

from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.prefix_tree import Match, PrefixTree, Twin, common_length

A, B, C = 0, 1, 2


def tree_of(**sequences: str) -> PrefixTree:
    """One scope; each name's last character is its sequence's number."""
    tree = PrefixTree()
    for name, tokens in sequences.items():
        hold(tree, int(name[-1]), tokens)
    return tree


def hold(tree: PrefixTree, sequence: int, text: str, scope: str = "") -> list[Twin]:
    tree.attach(sequence, scope, [])
    return tree.extend(sequence, list(text.encode()))


def text(tree: PrefixTree, sequence: int) -> str:
    return bytes(tree.tokens(sequence)).decode()


def test_an_empty_tree_matches_nothing() -> None:
    assert PrefixTree().match("", [1, 2]) == Match(0, None)


def test_the_longest_common_beginning_matches_though_it_ends_in_the_middle() -> None:
    tree = tree_of(s0="abcdef", s1="abxy")
    assert tree.match("", list(b"abcdzz")) == Match(4, A)
    assert tree.match("", list(b"abxyz")) == Match(4, B)


def test_a_match_is_never_longer_than_what_was_asked() -> None:
    assert tree_of(s0="abcdef").match("", list(b"abc")).length == 3


def test_sequences_are_covered_by_what_begins_with_all_of_theirs() -> None:
    tree = tree_of(s0="abcd", s1="ab", s2="abxy")
    assert tree.covered("", list(b"abcdz")) == [B, A]
    assert tree.covered("", list(b"abc")) == [B]
    assert tree.covered("", list(b"a")) == []
    assert tree.covered("other", list(b"abcd")) == []


def test_scopes_share_nothing() -> None:
    tree = PrefixTree()
    hold(tree, A, "secret", scope="one")
    hold(tree, B, "secret", scope="other")
    assert tree.match("third", list(b"secret")).length == 0
    assert tree.match("other", list(b"secret")) == Match(6, B)
    assert tree.num_cells == 12


def test_what_is_attached_takes_no_cells() -> None:
    tree = tree_of(s0="abcdef")
    tree.attach(B, "", list(b"abc"))
    tree.extend(B, list(b"xy"))
    assert (text(tree, B), tree.num_cells) == ("abcxy", 8)


def test_what_two_computed_alike_is_counted_once_and_told() -> None:
    tree = tree_of(s0="abcd")
    assert hold(tree, B, "abxy") == [Twin(A, 0, 2)]
    assert tree.num_cells == 6


def test_growing_behind_another_s_tokens_finds_them_step_by_step() -> None:
    tree = tree_of(s0="abcd")
    tree.attach(B, "", list(b"ab"))
    assert tree.extend(B, list(b"c")) == [Twin(A, 2, 3)]
    assert tree.extend(B, list(b"d")) == [Twin(A, 3, 4)]
    assert tree.extend(B, list(b"e")) == []
    assert (text(tree, B), tree.num_cells) == ("abcde", 5)


def test_removing_one_keeps_what_others_hold() -> None:
    tree = tree_of(s0="abcd", s1="abxy")
    tree.remove(A)
    assert (text(tree, B), tree.num_cells) == ("abxy", 4)
    tree.remove(B)
    assert tree.num_cells == 0


def test_trimming_drops_the_end_that_nobody_else_holds() -> None:
    tree = tree_of(s0="abcd", s1="abxyz")
    assert tree.trim(B, 2) == 2
    assert (text(tree, B), tree.num_cells) == ("abx", 5)
    assert tree.trim(B, 9) == 1
    assert (text(tree, B), tree.is_covered(B)) == ("ab", True)
    assert tree.trim(B, 9) == 0


def test_one_is_covered_if_another_holds_all_of_it() -> None:
    tree = tree_of(s0="ab", s1="abc", s2="xy")
    assert [tree.is_covered(sequence) for sequence in (A, B, C)] == [True, False, False]


def test_cells_of_several_are_counted_once() -> None:
    tree = tree_of(s0="abcd", s1="abxy", s2="q")
    assert tree.cells_of([A, B]) == 6


short = st.text("ab", max_size=12)


@given(short, short)
def test_the_common_length_is_that_of_the_longest_common_beginning(one: str, other: str) -> None:
    length = common_length(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(
        other
    )


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["add", "drop", "trim"]), short)))
def test_a_tree_holds_what_a_list_of_texts_would(edits: list[tuple[int, str, str]]) -> None:
    tree = PrefixTree()
    held: dict[int, str] = {}
    for sequence, edit, more in edits:
        if edit == "add":
            if sequence not in held:
                tree.attach(sequence, "", [])
            tree.extend(sequence, list(more.encode()))
            held[sequence] = held.get(sequence, "") + more
        elif sequence in held and edit == "drop":
            tree.remove(sequence)
            del held[sequence]
        elif sequence in held:
            dropped = tree.trim(sequence, len(more))
            held[sequence] = held[sequence][: len(held[sequence]) - dropped]
        beginnings = {held[s][:end] for s in held for end in range(1, len(held[s]) + 1)}
        assert {s: text(tree, s) for s in held} == held
        assert tree.num_cells == len(beginnings)
        for wanted in ("abab", "bb"):
            longest = max((common_length(wanted, other) for other in held.values()), default=0)
            assert tree.match("", list(wanted.encode())).length == longest
