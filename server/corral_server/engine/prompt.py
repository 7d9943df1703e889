"""What a caller asks, as tokens."""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol, assert_never

from corral_server.engine.chat_template import ChatTemplate
from corral_server.engine.escape import ControlEscaper
from corral_server.errors import ChatTemplateFailed, FieldViolation, InvalidFields
from corral_server.request import Conversation, Prompt, TextPrompt, TokenPrompt


class Tokenizer(Protocol):
    """The part of a vocabulary that prompts need."""

    size: int

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...

    @property
    def control_texts(self) -> frozenset[str]: ...

    @property
    def adds_start(self) -> bool: ...

    @property
    def start_text(self) -> str: ...

    @property
    def end_text(self) -> str: ...


class PromptEncoder:
    """Encodes prompts for one model."""

    def __init__(
        self, tokenizer: Tokenizer, *, template: str | None, tool_template: str | None
    ) -> None:
        """`tool_template` is used where tools are offered; it may be the same."""
        self._tokenizer = tokenizer
        self._sources = {False: template, True: tool_template}
        self._templates: dict[bool, ChatTemplate] = {}

    @cached_property
    def _escaper(self) -> ControlEscaper:
        return ControlEscaper(self._tokenizer.control_texts)

    def encode(self, prompt: Prompt) -> list[int]:
        """The tokens of `prompt`.

        Raises InvalidFields (ids out of range, nothing to continue) or ChatTemplateFailed.
        """
        match prompt:
            case TextPrompt():
                tokens = self.encode_text(
                    prompt.text, add_special=prompt.add_special, parse_special=prompt.parse_special
                )
            case TokenPrompt():
                tokens = list(prompt.token_ids)
                self.check(tokens, "prompt_tokens.ids")
            case Conversation():
                tokens = self._encode_conversation(prompt)
            case _:
                assert_never(prompt)
        if not tokens:
            raise InvalidFields.of(FieldViolation("prompt", "must not be empty"))
        return tokens

    def encode_text(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The tokens of `text`; without `parse_special` none of them is a control token."""
        if parse_special:
            return self._tokenizer.tokenize(text, add_special=add_special, parse_special=True)
        parts = self._escaper.split(self._escaper.escape(text))
        return self._join([(part, False) for part, _ in parts], add_special=add_special)

    def check(self, token_ids: Sequence[int], field: str) -> None:
        """Raises InvalidFields if an id is not in the vocabulary: llama.cpp would die on it."""
        size = self._tokenizer.size
        bad = next((token for token in token_ids if not 0 <= token < size), None)
        if bad is not None:
            raise InvalidFields.of(
                FieldViolation(field, f"must be within the vocabulary, 0 to {size - 1}, not {bad}")
            )

    def _encode_conversation(self, conversation: Conversation) -> list[int]:
        template = self._template(with_tools=bool(conversation.tools))
        rendered = template.render(conversation, self._escaper)
        if self._tokenizer.adds_start:
            # The tokenizer writes it, so the template must not.
            rendered = rendered.removeprefix(self._tokenizer.start_text)
        return self._join(self._escaper.split(rendered), add_special=True)

    def _template(self, *, with_tools: bool) -> ChatTemplate:
        if with_tools not in self._templates:
            source = self._sources[with_tools]
            if source is None:
                raise ChatTemplateFailed("the model has no chat template; use Generate instead")
            self._templates[with_tools] = ChatTemplate(
                source,
                start_text=self._tokenizer.start_text,
                end_text=self._tokenizer.end_text,
            )
        return self._templates[with_tools]

    def _join(self, parts: list[tuple[str, bool]], *, add_special: bool) -> list[int]:
        """The parts' tokens in a row; the model's own start token goes before the first."""
        tokens: list[int] = []
        for index, (part, parse_special) in enumerate(parts or [("", False)]):
            tokens += self._tokenizer.tokenize(
                part, add_special=add_special and index == 0, parse_special=parse_special
            )
        return tokens
