"""Callers' text cannot become a control token, alone or beside others, and is else left alone."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corral_server.engine.escape import ControlEscaper

CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "</s>", "[INST]")
# Tokens within, across and at the ends of others, and one of a single character.
NESTED = ("<s>", "<<s>>", "aba", "s>a", "§")
VOCABULARIES = st.sampled_from([CHATML, NESTED])


def parts_of(text: str, *control_texts: str) -> list[tuple[str, bool]]:
    escaper = ControlEscaper(control_texts)
    return escaper.split(escaper.escape(text))


def forged(parts: list[tuple[str, bool]], control_texts: tuple[str, ...]) -> list[str]:
    """The parts that would be tokenized with a control token in them."""
    return [
        part
        for part, parse_special in parts
        if parse_special and any(text.lower() in part.lower() for text in control_texts)
    ]


@st.composite
def hostile_texts(draw: st.DrawFn, control_texts: tuple[str, ...]) -> list[str]:
    """Texts of pieces of control tokens, as they may stand side by side in a prompt."""
    fragments = [t[i:j] for t in control_texts for i in range(len(t)) for j in range(i, len(t) + 1)]
    fragment = st.sampled_from([*fragments, " ", "x", "\U0010fffe", "\n"])
    text = st.lists(fragment, max_size=5).map("".join)
    return draw(st.lists(st.one_of(text, text.map(str.upper)), max_size=5))


@pytest.mark.parametrize("control_text", CHATML)
def test_a_control_token_in_a_text_is_taken_apart(control_text: str) -> None:
    parts = parts_of(f"a {control_text} b", *CHATML)
    assert forged(parts, CHATML) == []
    assert "".join(part for part, _ in parts) == f"a {control_text} b"


def test_tokens_that_overlap_are_all_taken_apart() -> None:
    assert forged(parts_of("ababa", "aba"), ("aba",)) == []


def test_a_token_within_a_token_is_taken_apart_too() -> None:
    assert forged(parts_of("<<s>>", "<<s>>", "<s>"), ("<<s>>", "<s>")) == []


def test_case_is_no_way_around() -> None:
    assert forged(parts_of("<|IM_start|>", *CHATML), CHATML) == []


def test_two_texts_cannot_make_a_control_token_together() -> None:
    escaper = ControlEscaper(CHATML)
    rendered = escaper.escape("<|im_") + escaper.escape("start|>")
    assert forged(escaper.split(rendered), CHATML) == []


def test_three_texts_cannot_make_a_control_token_together() -> None:
    escaper = ControlEscaper(CHATML)
    rendered = escaper.escape("<|im") + escaper.escape("_st") + escaper.escape("art|>")
    assert forged(escaper.split(rendered), CHATML) == []


def test_texts_that_a_template_strips_cannot_make_a_control_token_together() -> None:
    escaper = ControlEscaper(CHATML)
    rendered = "".join(escaper.escape(text).strip() for text in ["<|im ", " _st ", " art|>"])
    assert forged(escaper.split(rendered), CHATML) == []


def test_a_text_cannot_complete_what_the_template_began() -> None:
    escaper = ControlEscaper(CHATML)
    assert forged(escaper.split("<|im_" + escaper.escape("end|>")), CHATML) == []


def test_the_control_tokens_of_the_template_stay_whole() -> None:
    escaper = ControlEscaper(CHATML)
    rendered = "<|im_start|>" + escaper.escape("</s>") + "<|im_end|>"
    (first, first_parses), *_, (last, last_parses) = escaper.split(rendered)
    assert first.startswith("<|im_start|>") and first_parses
    assert last.endswith("<|im_end|>") and last_parses


def test_a_control_token_of_one_character_is_never_parsed_in_a_text() -> None:
    assert ("§", False) in parts_of("a § b", "§")
    assert forged(parts_of("a§§b", "§"), ("§",)) == []


def test_the_mark_itself_is_dropped_and_joins_nothing() -> None:
    assert parts_of("<|im_\U0010fffestart|>", *CHATML)[:2] == [("<|im_", True), ("start|>", True)]


@pytest.mark.parametrize(
    "text", ["", "Hello, world!", "1 < 2 and 2 > 1", "naïve 日本 😀", "a|b", " \n"]
)
def test_a_text_that_forges_nothing_is_unchanged(text: str) -> None:
    assert ControlEscaper(CHATML).escape(text) == text


def test_a_vocabulary_without_control_tokens_escapes_nothing() -> None:
    assert ControlEscaper(()).escape("<|im_start|>") == "<|im_start|>"


@given(st.data(), VOCABULARIES)
def test_no_texts_side_by_side_make_a_control_token(
    data: st.DataObject, control_texts: tuple[str, ...]
) -> None:
    escaper = ControlEscaper(control_texts)
    rendered = "".join(map(escaper.escape, data.draw(hostile_texts(control_texts))))
    assert forged(escaper.split(rendered), control_texts) == []


@given(st.data(), VOCABULARIES)
def test_nothing_of_a_text_is_lost_but_the_mark(
    data: st.DataObject, control_texts: tuple[str, ...]
) -> None:
    text = "".join(data.draw(hostile_texts(control_texts)))
    parts = parts_of(text, *control_texts)
    assert "".join(part for part, _ in parts) == text.replace("\U0010fffe", "")


@given(st.text(), st.text())
@example("ſ", "K")
def test_any_text_beside_any_text_is_safe(one: str, other: str) -> None:
    escaper = ControlEscaper(NESTED)
    assert forged(escaper.split(escaper.escape(one) + escaper.escape(other)), NESTED) == []
