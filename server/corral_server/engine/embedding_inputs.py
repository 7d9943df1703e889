"""What a caller wants vectors of, as tokens."""

from collections.abc import Sequence

from corral_server.engine.prompt import PromptEncoder, Tokenizer
from corral_server.errors import ContextLengthExceeded, FieldViolation, InvalidFields
from corral_server.request import TextPrompt, TokenPrompt


class InputEncoder:
    """Encodes inputs for one model."""

    def __init__(self, encoder: PromptEncoder, tokenizer: Tokenizer, *, limit: int) -> None:
        """`limit`: tokens one input may have."""
        self._encoder = encoder
        self._limit = limit
        # Unlike a prompt a text to embed is framed: what stands behind it may be what is pooled.
        self._before, self._behind = _frame(tokenizer)

    def encode(self, inputs: Sequence[TextPrompt | TokenPrompt]) -> list[list[int]]:
        """The tokens of each input.

        Raises InvalidFields or ContextLengthExceeded, naming the input.
        """
        return [self._encode(f"inputs[{index}]", input) for index, input in enumerate(inputs)]

    def _encode(self, field: str, input: TextPrompt | TokenPrompt) -> list[int]:
        match input:
            case TextPrompt():
                tokens = self._encode_text(input)
            case TokenPrompt():
                tokens = list(input.token_ids)
                self._encoder.check(tokens, f"{field}.tokens")
        if not tokens:
            raise InvalidFields.of(FieldViolation(field, "must not be empty"))
        if len(tokens) > self._limit:
            raise ContextLengthExceeded(
                f"{field} has {len(tokens)} tokens, at most {self._limit} fit",
                input=field,
                prompt_tokens=len(tokens),
                limit=self._limit,
            )
        return tokens

    def _encode_text(self, prompt: TextPrompt) -> list[int]:
        tokens = self._encoder.encode_text(
            prompt.text, add_special=False, parse_special=prompt.parse_special
        )
        return [*self._before, *tokens, *self._behind] if prompt.add_special and tokens else tokens


def _frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The tokens a model wants before and behind a text."""
    text = tokenizer.tokenize("a", add_special=False, parse_special=False)
    framed = tokenizer.tokenize("a", add_special=True, parse_special=False)
    start = next(i for i in range(len(framed)) if framed[i : i + len(text)] == text)
    return framed[:start], framed[start + len(text) :]
