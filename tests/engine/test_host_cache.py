"""What is kept in host memory, for how long, and what of it helps."""

from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.host_cache import HostCache
from corral_server.engine.prefix_tree import common_length
from corral_server.llama.host_memory import HostMemory


def cache_of(*texts: str, budget: int = 100, whole: bool = False, scope: str = "") -> HostCache:
    """Each text saved with as many bytes as it has characters."""
    cache = HostCache(HostMemory(budget), whole=whole)
    for text in texts:
        save(cache, text, scope=scope)
    return cache


def save(cache: HostCache, text: str, scope: str = "") -> None:
    entry = cache.reserve(scope, list(text.encode()))
    if entry is not None:
        entry.state = bytearray(len(text))
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
    assert (cache.num_bytes, found(cache, "abx")) == (4, ("abcd", 2))


def test_shorter_checkpoints_stay_where_states_cannot_be_cut() -> None:
    assert cache_of("ab", "abcd", whole=True).num_bytes == 6


def test_over_the_budget_what_was_used_longest_ago_goes() -> None:
    cache = cache_of("aaaa", "bbbb", budget=10)
    assert found(cache, "aaaa") is not None
    save(cache, "cccc")
    assert [found(cache, text) is not None for text in ("aaaa", "bbbb", "cccc")] == [
        True,
        False,
        True,
    ]


def test_what_is_larger_than_the_budget_is_not_kept() -> None:
    assert cache_of("a" * 11, budget=10).num_bytes == 0


def test_an_entry_that_was_never_filled_is_dropped() -> None:
    cache = HostCache(HostMemory(10), whole=False)
    cache.reserve("", [1, 2, 3])
    cache.settle()
    assert cache.find("", [1, 2, 3]) is None


TEXTS = st.text("ab", min_size=1, max_size=8)


@given(st.lists(TEXTS, max_size=12), TEXTS, st.booleans())
def test_nothing_that_was_saved_shares_more_than_what_is_found(
    texts: list[str], wanted: str, whole: bool
) -> None:
    cache = cache_of(*texts, budget=200, whole=whole)
    shared = [common_length(text, wanted) for text in texts if not whole or wanted.startswith(text)]
    longest = max(shared, default=0)
    result = found(cache, wanted)
    assert (result[1] if result else 0) == longest
    assert result is None or result[0][:longest] == wanted[:longest]


def test_memory_of_what_was_dropped_is_not_taken_before_it_was_read() -> None:
    memory = HostMemory(16 * 1024)
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
    assert isinstance(memory.take(1), memoryview)


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
    memory = HostMemory(16 * 1024)
    cache = HostCache(memory, whole=False)
    covered, longer = cache.reserve("", list(b"ab")), cache.reserve("", list(b"abc"))
    assert covered is not None
    assert longer is not None
    covered.state, longer.state = covered.take(2), longer.take(3)
    cache.settle()
    assert isinstance(memory.take(1), memoryview)
