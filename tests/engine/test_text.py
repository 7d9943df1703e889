"""Text comes out whole and as soon as it is certain, however the bytes fall on tokens."""

from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corral_server.engine.text import TextStream

LANGUAGES = "é日😀"


def cut(raw: bytes, *places: int) -> list[bytes]:
    bounds = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]


def stream(
    pieces: list[bytes], *stops: str, include_stop: bool = False
) -> tuple[list[str], str | None]:
    """What each piece and then the end brought, and the stop string that was found."""
    text = TextStream(stops, include_stop=include_stop)
    brought: list[str] = []
    for piece in pieces:
        if text.matched is None:
            brought.append(text.push(piece))
    return [*brought, text.flush()], text.matched


def by_character(written: str, *stops: str, include_stop: bool = False) -> list[str]:
    return stream([c.encode() for c in written], *stops, include_stop=include_stop)[0]


# Characters


@pytest.mark.parametrize("places", list(combinations(range(len(LANGUAGES.encode())), 2)))
def test_characters_split_over_tokens_come_out_whole(places: tuple[int, int]) -> None:
    brought, _ = stream(cut(LANGUAGES.encode(), *places))
    assert "".join(brought) == LANGUAGES
    assert not any("\ufffd" in text for text in brought)


def test_a_character_comes_out_with_its_last_byte() -> None:
    first, second, third = [bytes([byte]) for byte in "日".encode()]
    assert stream([first, second, third])[0] == ["", "", "日", ""]


def test_half_a_character_at_the_end_is_replaced() -> None:
    assert stream([b"a", "é".encode()[:1]])[0] == ["a", "", "\ufffd"]


def test_bytes_that_are_no_text_are_replaced_and_do_not_stop_the_rest() -> None:
    assert "".join(stream([b"a\xff", b"b"])[0]) == "a\ufffdb"


# Stop strings


def test_text_ends_before_a_stop_string_within_one_token() -> None:
    assert stream([b"one STOP two"], "STOP") == (["one ", ""], "STOP")


def test_text_ends_before_a_stop_string_over_several_tokens() -> None:
    assert stream([b"one ST", b"O", b"P two"], "STOP") == (["one ", "", "", ""], "STOP")


def test_a_stop_string_stays_if_asked_for_but_nothing_behind_it() -> None:
    assert stream([b"one ST", b"OP two"], "STOP", include_stop=True) == (
        ["one ", "STOP", ""],
        "STOP",
    )


def test_what_can_become_a_stop_string_is_held_back_and_nothing_else() -> None:
    assert by_character("xaab", "aac") == ["x", "", "", "aab", ""]


def test_a_stop_string_is_found_behind_a_false_start_of_itself() -> None:
    assert by_character("aaab", "aab") == ["", "", "a", "", ""]


def test_held_text_comes_out_at_the_end() -> None:
    assert by_character("one ST", "STOP")[-1] == "ST"


def test_a_stop_string_that_half_a_character_completes_is_found_at_the_end() -> None:
    assert stream([b"a", "é".encode()[:1]], "\ufffd") == (["a", "", ""], "\ufffd")


def test_the_stop_string_that_is_complete_first_wins() -> None:
    assert stream([b"one two three"], "three", "two") == (["one ", ""], "two")


def test_of_stop_strings_that_end_together_the_longest_wins() -> None:
    assert stream([b"-abc"], "c", "abc", "bc") == (["-", ""], "abc")


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"abc", b"d"], [b"a", b"b", b"c", b"d"]])
@pytest.mark.parametrize("stops", [("bc", "abcd"), ("abc", "abcd")])
def test_the_match_does_not_depend_on_how_text_falls_on_tokens(
    pieces: list[bytes], stops: tuple[str, str]
) -> None:
    brought, matched = stream(pieces, *stops, include_stop=True)
    assert ("".join(brought), matched) == ("abc", stops[0])


def reference(written: str, stops: list[str]) -> tuple[int, str | None]:
    """Where `written` ends, and at which stop string: looked for after every character."""
    for end in range(len(written) + 1):
        found = [stop for stop in stops if written[:end].endswith(stop)]
        if found:
            longest = max(found, key=len)
            return end - len(longest), longest
    return len(written), None


few_letters = st.text(st.sampled_from("ab日\n"), max_size=24)
stop_strings = st.lists(st.text(st.sampled_from("ab日\n"), min_size=1, max_size=4), max_size=4)


@given(few_letters, stop_strings, st.lists(st.integers(0, 100), max_size=8), st.booleans())
@example("abcd", ["bc", "abcd"], [], True)
def test_any_text_in_any_pieces_ends_where_the_whole_text_would(
    written: str, stops: list[str], places: list[int], include_stop: bool
) -> None:
    start, stop = reference(written, stops)
    wanted = written[:start] + (stop or "" if include_stop else "")
    brought, matched = stream(cut(written.encode(), *places), *stops, include_stop=include_stop)
    assert ("".join(brought), matched) == (wanted, stop)


@given(few_letters, stop_strings)
def test_nothing_comes_out_that_could_still_become_a_stop_string(
    written: str, stops: list[str]
) -> None:
    text = TextStream(tuple(stops))
    out = ""
    for end, character in enumerate(written, start=1):
        out += text.push(character.encode())
        if text.matched is not None:
            break
        held = written[len(out) : end]
        doubtful = [stop[:n] for stop in stops for n in range(1, len(stop))]
        ends = [d for d in doubtful if written[:end].endswith(d)]
        assert held == max(ends, key=len, default="")
