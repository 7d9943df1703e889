"""Text becomes tokens and comes back byte for byte; control tokens are told apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_cpp import llama_cpp as c

from corral_server.llama.model import LlamaModel
from corral_server.llama.vocabulary import Vocabulary
from tiny_gguf import BOS_TOKEN, CONTROL_TOKENS, EOS_TOKEN, write_llama
from tiny_llama import load_model


@pytest.fixture(scope="session")
def vocabulary(model: LlamaModel) -> Vocabulary:
    return model.vocabulary


def tokenize(vocabulary: Vocabulary, text: str, *, parse_special: bool = False) -> list[int]:
    return vocabulary.tokenize(text, add_special=False, parse_special=parse_special)


@pytest.mark.parametrize(
    "text",
    ["", "Hello world", "é日😀👩\u200d👩\u200d👧", "a\0b", "  \n\t", "<|im_start|>", "x" * 5000],
)
def test_text_comes_back(vocabulary: Vocabulary, text: str) -> None:
    tokens = tokenize(vocabulary, text)
    assert vocabulary.detokenize(tokens, unparse_special=False) == text.encode()


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(vocabulary: Vocabulary, text: str) -> None:
    tokens = tokenize(vocabulary, text)
    assert vocabulary.detokenize(tokens, unparse_special=False) == text.encode()


def test_a_common_word_is_one_token(vocabulary: Vocabulary) -> None:
    assert len(tokenize(vocabulary, "Hello")) == 1


def test_a_character_can_be_several_tokens(vocabulary: Vocabulary) -> None:
    pieces = [vocabulary.pieces[token] for token in tokenize(vocabulary, "😀")]
    assert len(pieces) > 1
    assert b"".join(pieces) == "😀".encode()


def test_half_a_surrogate_pair_becomes_a_question_mark(vocabulary: Vocabulary) -> None:
    tokens = tokenize(vocabulary, "a\ud800")
    assert vocabulary.detokenize(tokens, unparse_special=False) == b"a?"


@pytest.mark.parametrize("written", CONTROL_TOKENS)
def test_a_control_token_is_one_only_if_it_is_meant(vocabulary: Vocabulary, written: str) -> None:
    (token,) = tokenize(vocabulary, written, parse_special=True)
    assert token not in tokenize(vocabulary, written)


@pytest.mark.parametrize("written", CONTROL_TOKENS)
def test_control_tokens_have_bytes_only_when_written_out(
    vocabulary: Vocabulary, written: str
) -> None:
    (token,) = tokenize(vocabulary, written, parse_special=True)
    assert vocabulary.pieces[token] == b""
    assert vocabulary.full_pieces[token] == written.encode()
    assert vocabulary.detokenize([token], unparse_special=False) == b""
    assert vocabulary.detokenize([token], unparse_special=True) == written.encode()


def test_other_tokens_have_the_same_bytes_either_way(vocabulary: Vocabulary) -> None:
    control = set(tokenize(vocabulary, "".join(CONTROL_TOKENS), parse_special=True))
    others = set(range(vocabulary.size)) - control
    assert all(vocabulary.pieces[token] == vocabulary.full_pieces[token] for token in others)


def test_the_control_texts_are_the_control_tokens(vocabulary: Vocabulary) -> None:
    assert vocabulary.control_texts == set(CONTROL_TOKENS)


def test_the_end_tokens_are_those_that_end_an_answer(vocabulary: Vocabulary) -> None:
    texts = {vocabulary.full_pieces[token].decode() for token in vocabulary.end_tokens}
    assert texts == {EOS_TOKEN, BOS_TOKEN}


def test_the_texts_that_templates_know(vocabulary: Vocabulary) -> None:
    assert (vocabulary.start_text, vocabulary.end_text) == (BOS_TOKEN, EOS_TOKEN)


def test_a_model_says_whether_it_wants_its_start_token(vocabulary: Vocabulary) -> None:
    assert not vocabulary.adds_start


def test_a_model_that_forbids_no_token_suppresses_none(vocabulary: Vocabulary) -> None:
    assert vocabulary.suppressed_tokens == frozenset()


@pytest.mark.parametrize("token", [-1, 1_000_000])
def test_a_token_out_of_the_vocabulary_has_no_piece(vocabulary: Vocabulary, token: int) -> None:
    with pytest.raises(IndexError):
        vocabulary.pieces[token]


def test_large_vocabularies_have_every_control_and_end_token(tmp_path: Path) -> None:
    """llama.cpp makes <|eot_id|> a control token, whatever the file says."""
    path = write_llama(
        tmp_path / "large.gguf",
        vocab=5000,
        extra_tokens=["<|tool|>", "<|fim_pad|>"],
        normal_tokens=["<|eot_id|>", "over"],
        end_of_message="over",
    )
    model = load_model(path)
    vocabulary = model.vocabulary
    every = range(vocabulary.size)
    ends = {token for token in every if c.llama_vocab_is_eog(vocabulary.handle, token)}
    control = {
        vocabulary.full_pieces[token].decode()
        for token in every
        if c.llama_vocab_get_attr(vocabulary.handle, token) & c.LLAMA_TOKEN_ATTR_CONTROL
    }
    assert vocabulary.end_tokens == ends
    assert {vocabulary.full_pieces[token] for token in ends} >= {b"<|eot_id|>", b"over"}
    assert vocabulary.control_texts == control
    assert control == {*CONTROL_TOKENS, "<|tool|>", "<|fim_pad|>", "<|eot_id|>"}
    model.close()
