"""A model's vocabulary: text to tokens, tokens to bytes, and which tokens are special."""

import ctypes
from collections.abc import Iterable
from functools import cached_property

from llama_cpp import llama_cpp as c

_PIECE_BYTES = 256


class Vocabulary:
    """Valid as long as its model is open. Token ids must be in range: llama.cpp dies on others."""

    def __init__(self, handle: "c.llama_vocab_p") -> None:
        self._handle = handle
        self.size: int = c.llama_vocab_n_tokens(handle)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """`parse_special`: control tokens written in `text` become control tokens."""
        # JSON can smuggle in half a surrogate pair, which is no text.
        raw = text.encode(errors="replace")
        capacity = len(raw) + 8
        while True:
            tokens = (c.llama_token * capacity)()
            count = c.llama_tokenize(
                self._handle, raw, len(raw), tokens, capacity, add_special, parse_special
            )
            if count >= 0:
                return tokens[:count]
            capacity = -count

    @cached_property
    def pieces(self) -> "PieceTable":
        """The bytes of every token as they appear in an answer: control tokens are empty."""
        return PieceTable(self._handle, self.size, special=False)

    @cached_property
    def full_pieces(self) -> "PieceTable":
        """The bytes of every token, those of control tokens written out."""
        return PieceTable(self._handle, self.size, special=True)

    def detokenize(self, tokens: Iterable[int], *, unparse_special: bool) -> bytes:
        """The bytes of `tokens` in a row, control tokens only with `unparse_special`."""
        pieces = self.full_pieces if unparse_special else self.pieces
        return b"".join(pieces[token] for token in tokens)

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """The tokens by which the model ends an answer."""
        return frozenset(t for t in range(self.size) if c.llama_vocab_is_eog(self._handle, t))

    @cached_property
    def control_texts(self) -> frozenset[str]:
        """What a caller would have to write to forge a control token."""
        special = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_UNKNOWN
        texts = (
            self.full_pieces[token].decode("utf-8", "ignore")
            for token in range(self.size)
            if c.llama_vocab_get_attr(self._handle, token) & special
        )
        return frozenset(text for text in texts if text)

    @cached_property
    def suppressed_tokens(self) -> frozenset[int]:
        """Tokens the model file says must never be chosen."""
        count = ctypes.c_int32(0)
        tokens = c.llama_vocab_get_suppress_tokens(self._handle, ctypes.byref(count))
        return frozenset(tokens[: count.value]) if count.value else frozenset()

    @property
    def adds_start(self) -> bool:
        return bool(c.llama_vocab_get_add_bos(self._handle))

    @property
    def start_text(self) -> str:
        """The start token written out, for templates; empty if there is none."""
        return self._text(c.llama_vocab_bos(self._handle))

    @property
    def end_text(self) -> str:
        """The end token written out, for templates; empty if there is none."""
        return self._text(c.llama_vocab_eos(self._handle))

    def _text(self, token: int) -> str:
        return self.full_pieces[token].decode("utf-8", "replace") if token >= 0 else ""


class PieceTable(dict[int, bytes]):
    """What tokens are written like, each looked up when it is first asked for: most of a large
    vocabulary never is, and all of it takes a third of a second."""

    def __init__(self, vocabulary: "c.llama_vocab_p", size: int, *, special: bool) -> None:
        """`special`: control tokens are written out."""
        super().__init__()
        self._vocabulary = vocabulary
        self._size = size
        self._special = special

    def __missing__(self, token: int) -> bytes:
        if not 0 <= token < self._size:
            # llama.cpp would end the process.
            raise IndexError(f"there is no token {token}")
        piece = self[token] = self._look_up(token, _PIECE_BYTES)
        return piece

    def _look_up(self, token: int, capacity: int) -> bytes:
        buffer = ctypes.create_string_buffer(capacity)
        length = c.llama_token_to_piece(self._vocabulary, token, buffer, capacity, 0, self._special)
        return buffer.raw[:length] if length >= 0 else self._look_up(token, -length)
