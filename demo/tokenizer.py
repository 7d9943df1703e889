"""The byte-level BPE tokenizer: trains it, and turns documents into tokens with loss weights."""

import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from demo import template
from demo.corpus.dialogue import Conversation

END_OF_TEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL_TOKENS = (END_OF_TEXT, IM_START, IM_END)
MARKUP_TOKENS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
)  # fmt: skip
ADDED_TOKEN = re.compile("|".join(map(re.escape, CONTROL_TOKENS + MARKUP_TOKENS)))
NUM_TOKENS = 1536
USER_TEXT_WEIGHT = 0.1
"""The user's words are worth little loss: enough to give them meaning, not to imitate them."""

_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What llama.cpp does for `tokenizer.ggml.pre = qwen2`: digits stay single."""

_ANSWER_OPENING = f"{IM_START}assistant\n"
_EMPTY_THOUGHT = "<think>\n\n</think>\n\n"
_TURN_EDGE = re.compile(
    f"({re.escape(_ANSWER_OPENING)}(?:{re.escape(_EMPTY_THOUGHT)})?|{re.escape(IM_END)})"
)
"""Where an answer begins, after all that the generation prompt holds, and where a turn ends."""

Tokens = list[int]
Weights = list[float]


def train(texts: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=NUM_TOKENS - len(CONTROL_TOKENS + MARKUP_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(list(CONTROL_TOKENS))
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in MARKUP_TOKENS])
    return tokenizer


class DemoTokenizer:
    """Encodes text, scaffold and whole documents."""

    def __init__(self, path: Path) -> None:
        self._scaffold = Tokenizer.from_file(str(path))
        self._text = Tokenizer.from_file(str(path))
        self._text.encode_special_tokens = True
        self._end_of_text = self.encode_scaffold(END_OF_TEXT)

    def encode_text(self, text: str) -> Tokens:
        """A control token written in the text is only its letters; markup is markup anywhere."""
        return list(self._text.encode(text).ids)

    def encode_scaffold(self, text: str) -> Tokens:
        return list(self._scaffold.encode(text).ids)

    def decode(self, tokens: Tokens) -> str:
        return str(self._scaffold.decode(tokens, skip_special_tokens=False))

    def encode_document(self, document: Conversation | str) -> tuple[Tokens, Weights]:
        """Tokens and the weight of predicting each."""
        if isinstance(document, str):
            tokens = self.encode_text(document) + self._end_of_text
            return tokens, [1.0] * len(tokens)
        return self._encode_conversation(document)

    def _encode_conversation(self, conversation: Conversation) -> tuple[Tokens, Weights]:
        tokens: Tokens = []
        weights: Weights = []
        messages = [message.as_dict() for message in conversation.messages]
        tools = [tool.as_dict() for tool in conversation.tools]
        is_answer = False
        for text, is_text in template.render_pieces(messages, tools, add_generation_prompt=False):
            if is_text:
                piece = self.encode_text(text)
                tokens += piece
                weights += [1.0 if is_answer else USER_TEXT_WEIGHT] * len(piece)
                continue
            for part in _TURN_EDGE.split(text):
                is_opening = part.startswith(_ANSWER_OPENING)
                piece = self.encode_scaffold(part)
                tokens += piece
                weights += [1.0 if is_answer and not is_opening else 0.0] * len(piece)
                is_answer = is_opening or (is_answer and part != IM_END)
        return tokens, weights
