"""Prompts become the tokens the model was trained on, and only templates write control tokens."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.engine.prompt import PromptEncoder
from corral_server.errors import ChatTemplateFailed, InvalidFields
from corral_server.llama.vocabulary import Vocabulary
from corral_server.request import (
    Conversation,
    Message,
    Prompt,
    TextPrompt,
    TokenPrompt,
    Tool,
    ToolCall,
)
from tiny_gguf import BOS_TOKEN, CHAT_TEMPLATE, CONTROL_TOKENS, write_llama
from tiny_llama import load_model

EVERYTHING = (
    "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.name }}\n"
    "{% if m.tool_call_id %}{{ m.tool_call_id }}: {% endif %}"
    "{{ m.reasoning_content }}{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}"
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
# Control tokens that hold and overlap each other, and one of a single character.
NESTED = ("<<s>>", "<s>", "aba", "☃")


@pytest.fixture(scope="session")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vocabulary]:
    path = tmp_path_factory.mktemp("nested") / "nested.gguf"
    model = load_model(write_llama(path, extra_tokens=NESTED))
    yield model.vocabulary
    model.close()


@pytest.fixture(scope="session")
def starting(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vocabulary]:
    """The vocabulary of a model that wants its start token before every prompt."""
    path = tmp_path_factory.mktemp("starting") / "starting.gguf"
    key = b"tokenizer.ggml.add_bos_token\x07\0\0\0"
    content = tiny_path.read_bytes()
    assert content.count(key + b"\0") == 1
    path.write_bytes(content.replace(key + b"\0", key + b"\1"))
    model = load_model(path)
    yield model.vocabulary
    model.close()


@pytest.fixture
def encoder(vocabulary: Vocabulary) -> PromptEncoder:
    return make_encoder(vocabulary)


def make_encoder(
    vocabulary: Vocabulary,
    template: str | None = EVERYTHING,
    tool_template: str | None = EVERYTHING,
) -> PromptEncoder:
    return PromptEncoder(vocabulary, template=template, tool_template=tool_template)


def chat(*contents: str) -> Conversation:
    return Conversation(messages=tuple(Message(role="user", content=text) for text in contents))


def token_id(vocabulary: Vocabulary, written: str) -> int:
    (token,) = vocabulary.tokenize(written, add_special=False, parse_special=True)
    return token


def control_tokens(vocabulary: Vocabulary, tokens: list[int]) -> list[bytes]:
    return [vocabulary.full_pieces[token] for token in tokens if not vocabulary.pieces[token]]


def why_refused(encoder: PromptEncoder, prompt: Prompt) -> tuple[str, str]:
    with pytest.raises(InvalidFields) as caught:
        encoder.encode(prompt)
    (violation,) = caught.value.violations
    return violation.field, violation.why


# Control tokens


def places(text: str) -> dict[str, Prompt]:
    """Everywhere a caller can write `text`."""
    user = Message(role="user", content="x")
    call = ToolCall("1", "f", "{}")
    turns: dict[str, Message] = {
        "user": Message(role="user", content=text),
        "system": Message(role="system", content=text),
        "reasoning": Message(role="assistant", content="x", reasoning=text),
        "name": Message(role="user", content="x", name=text),
        "tool result": Message(role="tool", content=text, tool_call_id="1"),
        "tool call of a result": Message(role="tool", content="x", tool_call_id=text),
        "call id": Message(
            role="assistant", content="", tool_calls=(ToolCall(text, "f", "{}"), call)
        ),
        "call name": Message(role="assistant", content="", tool_calls=(ToolCall("1", text, "{}"),)),
        "call arguments": Message(
            role="assistant",
            content="",
            tool_calls=(ToolCall("1", "f", json.dumps({text: [text]})),),
        ),
    }
    tools = {
        "tool name": Tool(text, "x", "{}"),
        "tool description": Tool("f", text, "{}"),
        "tool parameters": Tool("f", "x", json.dumps({text: {"enum": [text]}})),
    }
    return {
        "prompt": TextPrompt(text=text),
        **{place: Conversation(messages=(user, turn)) for place, turn in turns.items()},
        **{place: Conversation(messages=(user,), tools=(tool,)) for place, tool in tools.items()},
    }


@pytest.mark.parametrize("place", places("x"))
@pytest.mark.parametrize("written", CONTROL_TOKENS)
def test_a_control_token_that_a_caller_writes_stays_text(
    encoder: PromptEncoder, vocabulary: Vocabulary, place: str, written: str
) -> None:
    benign = encoder.encode(places("benign")[place])
    hostile = encoder.encode(places(f"a{written}b")[place])
    assert control_tokens(vocabulary, hostile) == control_tokens(vocabulary, benign)
    assert written.encode() in vocabulary.detokenize(hostile, unparse_special=False)


def test_a_control_token_cannot_be_spread_over_turns(vocabulary: Vocabulary) -> None:
    bare = make_encoder(vocabulary, "{% for m in messages %}{{ m.content }}{% endfor %}")
    tokens = bare.encode(chat("<|im_", "start", "|>"))
    assert control_tokens(vocabulary, tokens) == []
    assert vocabulary.detokenize(tokens, unparse_special=False) == b"<|im_start|>"


fragments = st.sampled_from(
    [
        t[i:j]
        for t in (*NESTED, *CONTROL_TOKENS)
        for i in range(len(t))
        for j in range(i, len(t) + 1)
    ]
)


@given(texts=st.lists(st.lists(fragments, max_size=4).map("".join), max_size=4))
def test_no_texts_side_by_side_make_a_control_token(nested: Vocabulary, texts: list[str]) -> None:
    bare = make_encoder(nested, "x{% for m in messages %}{{ m.content }}{% endfor %}")
    tokens = bare.encode(chat(*texts))
    assert control_tokens(nested, tokens) == []
    assert nested.detokenize(tokens, unparse_special=False) == f"x{''.join(texts)}".encode()


@pytest.mark.parametrize("written", NESTED)
def test_nested_control_tokens_in_a_prompt_stay_text(nested: Vocabulary, written: str) -> None:
    tokens = make_encoder(nested).encode(TextPrompt(text=f"{written}x{written}"))
    assert control_tokens(nested, tokens) == []


def test_control_tokens_in_a_prompt_count_if_the_caller_says_so(
    encoder: PromptEncoder, vocabulary: Vocabulary
) -> None:
    tokens = encoder.encode(TextPrompt(text="<|im_start|>user", parse_special=True))
    assert control_tokens(vocabulary, tokens) == [b"<|im_start|>"]


# What the model was trained on


def test_a_conversation_is_tokenized_as_its_text_would_be_at_once(
    vocabulary: Vocabulary,
) -> None:
    tokens = make_encoder(vocabulary, CHAT_TEMPLATE).encode(chat("Hello world, 1 < 2", "日本 😀"))
    at_once = (
        "<|im_start|>user\nHello world, 1 < 2<|im_end|>\n"
        "<|im_start|>user\n日本 😀<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokens == vocabulary.tokenize(at_once, add_special=True, parse_special=True)


def test_a_prompt_is_tokenized_as_it_is(encoder: PromptEncoder, vocabulary: Vocabulary) -> None:
    assert encoder.encode(TextPrompt(text="Hello world")) == vocabulary.tokenize(
        "Hello world", add_special=True, parse_special=False
    )


def test_tokens_are_taken_as_they_are(encoder: PromptEncoder) -> None:
    assert encoder.encode(TokenPrompt((3, 1, 2))) == [3, 1, 2]


def test_half_a_surrogate_pair_is_tokenized_as_something(
    encoder: PromptEncoder, vocabulary: Vocabulary
) -> None:
    tokens = encoder.encode(TextPrompt(text="a\ud800b"))
    assert vocabulary.detokenize(tokens, unparse_special=True) == b"a?b"


def test_a_conversation_with_half_a_surrogate_pair_is_tokenized(encoder: PromptEncoder) -> None:
    tool = Tool("f", "", '{"a": "\\ud800"}')
    assert encoder.encode(
        Conversation(messages=(Message(role="user", content="x"),), tools=(tool,))
    )


# The start token


@pytest.mark.parametrize("template", ["{{ bos_token }}x", "x"])
def test_the_start_token_of_a_model_that_wants_it_is_written_once(
    starting: Vocabulary, template: str
) -> None:
    tokens = make_encoder(starting, template).encode(chat("Hello"))
    assert control_tokens(starting, tokens) == [BOS_TOKEN.encode()]
    assert tokens[0] == token_id(starting, BOS_TOKEN)


def test_the_start_token_is_written_once_before_a_text_that_is_taken_apart(
    starting: Vocabulary,
) -> None:
    tokens = make_encoder(starting).encode(TextPrompt(text="<|im_end|> <|im_end|>"))
    assert control_tokens(starting, tokens) == [BOS_TOKEN.encode()]


def test_a_start_token_that_a_caller_writes_does_not_replace_the_models_own(
    starting: Vocabulary,
) -> None:
    tokens = make_encoder(starting, "{{ messages[0].content }}").encode(chat(BOS_TOKEN))
    assert starting.detokenize(tokens, unparse_special=True) == BOS_TOKEN.encode() * 2
    assert control_tokens(starting, tokens) == [BOS_TOKEN.encode()]


def test_a_prompt_can_go_without_the_start_token(starting: Vocabulary) -> None:
    tokens = make_encoder(starting).encode(TextPrompt(text="Hello", add_special=False))
    assert control_tokens(starting, tokens) == []


def test_a_template_may_write_the_start_token_that_the_model_does_not_add(
    vocabulary: Vocabulary,
) -> None:
    tokens = make_encoder(vocabulary, "{{ bos_token }}x").encode(chat("Hello"))
    assert control_tokens(vocabulary, tokens) == [BOS_TOKEN.encode()]


# Refusals


@pytest.mark.parametrize("token", [-1, 2**31 - 1])
def test_a_token_out_of_the_vocabulary_is_named(
    encoder: PromptEncoder, vocabulary: Vocabulary, token: int
) -> None:
    field, why = why_refused(encoder, TokenPrompt((1, token)))
    assert field == "prompt_tokens.ids"
    assert why == f"must be within the vocabulary, 0 to {vocabulary.size - 1}, not {token}"


def test_the_last_token_is_in_the_vocabulary_and_the_next_is_not(
    encoder: PromptEncoder, vocabulary: Vocabulary
) -> None:
    encoder.check([0, vocabulary.size - 1], "ids")
    with pytest.raises(InvalidFields):
        encoder.check([vocabulary.size], "ids")


@pytest.mark.parametrize("prompt", [TextPrompt(text=""), TokenPrompt(())])
def test_nothing_cannot_be_continued(encoder: PromptEncoder, prompt: Prompt) -> None:
    assert why_refused(encoder, prompt) == ("prompt", "must not be empty")


def test_a_template_that_renders_nothing_leaves_nothing_to_continue(
    vocabulary: Vocabulary,
) -> None:
    silent = make_encoder(vocabulary, "{% set x = 1 %}")
    assert why_refused(silent, chat("Hello")) == ("prompt", "must not be empty")


def test_a_model_without_template_cannot_chat(vocabulary: Vocabulary) -> None:
    with pytest.raises(ChatTemplateFailed, match="no chat template"):
        make_encoder(vocabulary, None, None).encode(chat("Hello"))


# Two templates


def test_the_template_for_tools_is_used_where_tools_are_offered(vocabulary: Vocabulary) -> None:
    encoder = make_encoder(vocabulary, "plain", "with tools")
    tool = Tool("f", "", "{}")
    plain = encoder.encode(chat("x"))
    offered = encoder.encode(Conversation(messages=chat("x").messages, tools=(tool,)))
    assert vocabulary.detokenize(plain, unparse_special=True) == b"plain"
    assert vocabulary.detokenize(offered, unparse_special=True) == b"with tools"


def test_a_broken_template_for_tools_does_not_hurt_other_conversations(
    vocabulary: Vocabulary,
) -> None:
    assert make_encoder(vocabulary, "plain", "{% if").encode(chat("x"))
