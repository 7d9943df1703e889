"""What a caller is told of one request: its text, its tokens, why it ended, how long it took."""

from typing import Any

import pytest

from corral_server.engine.sequence import Sequence
from corral_server.request import (
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    StopParams,
    TextPrompt,
    Timings,
    Token,
)
from scripted_runner import END, END_TEXT, ScriptedVocabulary

PROMPT = list(b"abc")
LIMIT = 64


def make_sequence(*, limit: int = LIMIT, **request: Any) -> Sequence:
    return Sequence(
        1,
        GenerationRequest(prompt=TextPrompt(text="abc"), **request),
        list(PROMPT),
        limit=limit,
        vocabulary=ScriptedVocabulary(),
        sampler=None,
        now=0.0,
    )


def tell(sequence: Sequence, *tokens: int) -> tuple[list[Delta], Finished | None]:
    """The deltas of `tokens`, and how the answer ended if it did: with the last of them."""
    deltas: list[Delta] = []
    for place, token in enumerate(tokens):
        for event in sequence.append(token, now=1.0):
            if isinstance(event, Finished):
                assert place == len(tokens) - 1
                return deltas, event
            deltas.append(event)
    return deltas, None


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def finish(sequence: Sequence, *tokens: int) -> tuple[str, Finished]:
    deltas, finished = tell(sequence, *tokens)
    assert finished is not None
    return text_of(deltas), finished


# Why it ends


def test_the_end_token_ends_it_and_says_nothing() -> None:
    text, finished = finish(make_sequence(), *b"hi", END)
    assert (text, finished.reason, finished.stop_token) == ("hi", FinishReason.EOS, None)


def test_the_end_token_is_like_any_other_if_it_is_ignored() -> None:
    deltas, finished = tell(make_sequence(stop=StopParams(ignore_eos=True)), *b"hi", END, *b"ho")
    assert (text_of(deltas), finished) == ("hiho", None)


def test_a_stop_token_ends_it_and_is_left_out() -> None:
    stop = StopParams(token_ids=(ord("!"),))
    text, finished = finish(make_sequence(stop=stop), *b"hi!")
    assert (text, finished.reason) == ("hi", FinishReason.STOP_TOKEN)
    assert finished.stop_token == ord("!")


def test_a_stop_token_stays_if_asked_for() -> None:
    stop = StopParams(token_ids=(ord("!"),), include_stop=True)
    text, finished = finish(make_sequence(stop=stop), *b"hi!")
    assert (text, finished.reason) == ("hi!", FinishReason.STOP_TOKEN)


def test_an_end_token_that_is_a_stop_token_counts_as_one_even_if_ends_are_ignored() -> None:
    stop = StopParams(token_ids=(END,), ignore_eos=True)
    _, finished = finish(make_sequence(stop=stop), END)
    assert (finished.reason, finished.stop_token) == (FinishReason.STOP_TOKEN, END)


@pytest.mark.parametrize(("include_stop", "wanted"), [(False, "one "), (True, "one STOP")])
def test_a_stop_string_ends_it(include_stop: bool, wanted: str) -> None:
    stop = StopParams(strings=("STOP",), include_stop=include_stop)
    text, finished = finish(make_sequence(stop=stop), *b"one STOP")
    assert (text, finished.reason) == (wanted, FinishReason.STOP_STRING)
    assert (finished.stop_string, finished.stop_token) == ("STOP", None)


def test_text_held_back_for_a_stop_string_comes_with_the_end() -> None:
    text, finished = finish(make_sequence(stop=StopParams(strings=("STOP",))), *b"one ST", END)
    assert (text, finished.reason, finished.stop_string) == ("one ST", FinishReason.EOS, None)


def test_max_tokens_end_it() -> None:
    text, finished = finish(make_sequence(max_tokens=3), *b"one")
    assert (text, finished.reason) == ("one", FinishReason.LENGTH)


def test_a_stop_string_in_the_last_token_is_what_ended_it() -> None:
    sequence = make_sequence(max_tokens=3, stop=StopParams(strings=("e",)))
    assert finish(sequence, *b"one")[1].reason is FinishReason.STOP_STRING


def test_an_end_token_in_the_last_place_is_what_ended_it() -> None:
    assert finish(make_sequence(max_tokens=3), *b"on", END)[1].reason is FinishReason.EOS


def test_a_stop_string_made_of_half_a_character_at_the_end_is_found() -> None:
    sequence = make_sequence(max_tokens=2, stop=StopParams(strings=("\ufffd",)))
    text, finished = finish(sequence, ord("a"), "é".encode()[0])
    assert (text, finished.reason) == ("a", FinishReason.STOP_STRING)


@pytest.mark.parametrize("max_tokens", [None, 2, 1000])
def test_a_full_context_ends_it(max_tokens: int | None) -> None:
    sequence = make_sequence(limit=len(PROMPT) + 1, max_tokens=max_tokens)
    assert finish(sequence, *b"o")[1].reason is FinishReason.CONTEXT_LENGTH


def test_max_tokens_that_just_fit_are_what_ended_it() -> None:
    sequence = make_sequence(limit=len(PROMPT) + 2, max_tokens=2)
    assert finish(sequence, *b"on")[1].reason is FinishReason.LENGTH


# What is told on the way


def test_every_token_that_brings_text_is_a_delta_with_the_count_so_far() -> None:
    deltas, _ = tell(make_sequence(), *b"one")
    assert deltas == [Delta(text=c, completion_tokens=n) for n, c in enumerate("one", start=1)]


def test_a_token_that_brings_no_text_is_counted_with_the_next_that_does() -> None:
    deltas, _ = tell(make_sequence(), *"é".encode())
    assert deltas == [Delta(text="é", completion_tokens=2)]


def test_the_counts_of_the_end() -> None:
    _, finished = finish(make_sequence(), *b"hi", END)
    assert (finished.prompt_tokens, finished.completion_tokens) == (3, 3)


def test_tokens_come_one_by_one_if_asked_for_even_without_text() -> None:
    deltas, _ = tell(make_sequence(wants_tokens=True), *"é".encode(), END)
    first, second = "é".encode()
    assert [delta.tokens for delta in deltas] == [
        (Token(first, bytes([first])),),
        (Token(second, bytes([second])),),
        (Token(END, END_TEXT.encode()),),
    ]
    assert text_of(deltas) == "é"


def test_tokens_do_not_come_unasked() -> None:
    deltas, _ = tell(make_sequence(), *b"one")
    assert all(delta.tokens == () for delta in deltas)


# The tokens it owns


def test_a_token_that_was_picked_is_to_be_computed() -> None:
    sequence = make_sequence()
    assert sequence.gap == 3
    sequence.num_computed = 3
    tell(sequence, ord("x"))
    assert (sequence.gap, sequence.num_completion) == (1, 1)


def test_where_the_time_went() -> None:
    sequence = make_sequence(max_tokens=2)
    sequence.clock.started = 1.0
    sequence.append(ord("a"), now=3.0)
    *_, finished = sequence.append(ord("b"), now=7.0)
    assert isinstance(finished, Finished)
    assert finished.timings == Timings(queue_s=1.0, prefill_s=2.0, decode_s=4.0)
