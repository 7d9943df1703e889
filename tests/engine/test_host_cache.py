"""What is kept in host memory, for how long, and what of it helps."""

from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.host_cache import HostCache
from corral_server.engine.prefix_tree import common_length
from corral_server.llama.host_memory import HostMemory

# The least that is taken of memory.
BLOCK = 16 * 1024


def cache_of(*texts: str, blocks: int = 100, whole: bool = False, scope: str = "") -> HostCache:
    """Each text saved with as many blocks as it has characters."""
    cache = HostCache(HostMemory(blocks * BLOCK), whole=whole)
    for text in texts:
        save(cache, text, scope=scope)
    return cache


def save(cache: HostCache, text: str, scope: str = "") -> None:
    entry = cache.reserve(scope, list(text.encode()))
    if entry is not None:
        entry.state = entry.take(len(text) * BLOCK)
    cache.settle()


def found(cache: HostCache, text: str, scope: str = "") -> tuple[str, int] | None:
    result = cache.find(scope, list(text.encode()))
    return (bytes(result.entry.tokens).decode(), result.length) if result else None


def test_the_entry_that_shares_most_is_found() -> None:
    cache = cache_of("abcd", "abxyz")
    assert found(cache, "abxq") == ("abxyz", 3)
    assert found(cache, "zzz") is None


def test_where_states_cannot_be_cut_only_a_whole_one_is_found() -> None:
    cache = cache_of("ab", "abcd", whole=True)
    assert found(cache, "abcx") == ("ab", 2)
    assert found(cache, "abcdx") == ("abcd", 4)


def test_scopes_share_nothing() -> None:
    assert found(cache_of("abcd", scope="one"), "abcd", scope="other") is None


def test_what_is_known_is_not_saved_again() -> None:
    cache = cache_of("abcd")
    assert cache.reserve("", list(b"ab")) is None
    assert cache.reserve("", list(b"abcd")) is None


def test_a_longer_entry_replaces_those_it_covers() -> None:
    cache = cache_of("ab", "abcd")
    assert (cache.num_bytes, found(cache, "abx")) == (4 * BLOCK, ("abcd", 2))


def test_shorter_checkpoints_stay_where_states_cannot_be_cut() -> None:
    assert cache_of("ab", "abcd", whole=True).num_bytes == 6 * BLOCK


def test_over_the_budget_what_was_used_longest_ago_goes() -> None:
    cache = cache_of("aaaa", "bbbb", blocks=10)
    assert found(cache, "aaaa") is not None
    save(cache, "cccc")
    assert [found(cache, text) is not None for text in ("aaaa", "bbbb", "cccc")] == [
        True,
        False,
        True,
    ]


def test_what_is_larger_than_the_budget_is_not_kept() -> None:
    assert cache_of("a" * 11, blocks=10).num_bytes == 0


def test_an_entry_that_was_never_filled_is_dropped() -> None:
    cache = HostCache(HostMemory(BLOCK), whole=False)
    cache.reserve("", [1, 2, 3])
    cache.settle()
    assert cache.find("", [1, 2, 3]) is None


TEXTS = st.text("ab", min_size=1, max_size=8)


@given(st.lists(TEXTS, max_size=12), TEXTS, st.booleans())
def test_nothing_that_was_saved_shares_more_than_what_is_found(
    texts: list[str], wanted: str, whole: bool
) -> None:
    cache = cache_of(*texts, blocks=200, whole=whole)
    shared = [common_length(text, wanted) for text in texts if not whole or wanted.startswith(text)]
    longest = max(shared, default=0)
    result = found(cache, wanted)
    assert (result[1] if result else 0) == longest
    assert result is None or result[0][:longest] == wanted[:longest]


def test_memory_of_what_was_dropped_is_not_taken_before_it_was_read() -> None:
    memory = HostMemory(BLOCK)
    cache = HostCache(memory, whole=False)
    first = cache.reserve("", list(b"ab"))
    assert first is not None
    first.state = first.take(2)
    first.state[:] = b"ab"
    cache.settle()
    longer = cache.reserve("", list(b"abc"))  # the first is covered, so it goes
    assert longer is not None
    longer.state = longer.take(3)
    longer.state[:] = b"abc"
    assert bytes(first.state) == b"ab"
    cache.settle()
    assert bytes(longer.state) == b"abc"
    assert memory.take(1) is None, "the longer one has taken the place of the first"


def test_for_a_new_entry_goes_what_was_used_longest_ago_until_its_state_lies_together() -> None:
    cache = cache_of("a", "bb", "c", "ddd", "e", blocks=8)
    found(cache, "bb")
    cache.settle()
    save(cache, "xxx")
    kept = [text for text in ("a", "bb", "c", "ddd", "e", "xxx") if found(cache, text)]
    assert kept == ["bb", "e", "xxx"]


def test_what_is_yet_to_be_read_stays_when_memory_is_short() -> None:
    cache = cache_of("aa", "bb", blocks=4)
    assert found(cache, "aa") and found(cache, "bb")
    entry = cache.reserve("", list(b"cc"))
    assert entry is not None
    entry.state = entry.take(2 * BLOCK)
    assert found(cache, "aa") and found(cache, "bb")
    cache.settle()
    assert [bool(found(cache, text)) for text in ("aa", "bb", "cc")] == [False, True, True]


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=60))
def test_states_never_take_more_than_the_budget_and_keep_what_is_in_them(
    sizes: list[tuple[int, bool]],
) -> None:
    """States of all sizes come, and some of those that are there are found again."""
    cache = HostCache(HostMemory(20 * BLOCK), whole=False)
    marks: dict[int, bytes] = {}
    for number, (size, finds) in enumerate(sizes):
        if finds and number:
            cache.find("", [number // 2])
        entry = cache.reserve("", [number])
        assert entry is not None
        entry.state = entry.take(size * BLOCK)
        marks[number] = bytes([number]) * len(entry.state)
        entry.state[:] = marks[number]
        cache.settle()
        assert cache.num_bytes <= 20 * BLOCK
        assert (kept := cache.find("", [number])) is not None and kept.length == 1
        cache.settle()
    for number, mark in marks.items():
        if (there := cache.find("", [number])) is not None:
            assert isinstance(there.entry.state, memoryview)
            assert there.entry.state == mark


def test_memory_is_made_ready_for_as_much_as_is_saved_of_a_token() -> None:
    memory = HostMemory(1024 * 1024)
    cache = HostCache(memory, whole=False)
    cache.expect(1000)
    assert memory.num_wanted == 0
    entry = cache.reserve("", [1, 2, 3, 4])
    assert entry is not None
    entry.state = entry.take(400)
    cache.settle()
    cache.expect(1000)
    assert memory.num_wanted == 100_000


def test_memory_of_what_was_dropped_before_it_was_filled_is_given_back() -> None:
    memory = HostMemory(BLOCK)
    cache = HostCache(memory, whole=False)
    covered, longer = cache.reserve("", list(b"ab")), cache.reserve("", list(b"abc"))
    assert covered is not None
    assert longer is not None
    covered.state, longer.state = covered.take(2), longer.take(3)
    cache.settle()
    assert isinstance(longer.state, memoryview)
