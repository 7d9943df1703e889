"""A model's vocabulary: text to tokens, tokens to bytes, and which tokens are special."""

import ctypes
from collections.abc import Iterable
from functools import cached_property

import numpy as np
from llama_cpp import llama_cpp as c
from numpy.typing import NDArray

_PIECE_BYTES = 256
_BLOCK_TOKENS = 1024
_TokenPointer = ctypes.POINTER(c.llama_token)


class Vocabulary:
    """Valid as long as its model is open. Token ids must be in range: llama.cpp dies on others."""

    def __init__(self, handle: "c.llama_vocab_p", *, end_of_message: int = -1) -> None:
        """`end_of_message`: that token where the file states one, the only end that llama.cpp does
        not tell."""
        self.handle = handle
        self._end_of_message = end_of_message
        self.size: int = c.llama_vocab_n_tokens(handle)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """`parse_special`: control tokens written in `text` become control tokens."""
        # JSON can smuggle in half a surrogate pair, which is no text.
        raw = text.encode(errors="replace")
        capacity = len(raw) + 8
        while True:
            tokens = (c.llama_token * capacity)()
            count = c.llama_tokenize(
                self.handle, raw, len(raw), tokens, capacity, add_special, parse_special
            )
            if count >= 0:
                return tokens[:count]
            capacity = -count

    @cached_property
    def pieces(self) -> "PieceTable":
        """The bytes of every token as they appear in an answer: control tokens are empty."""
        return PieceTable(self.handle, self.size, special=False)

    @cached_property
    def full_pieces(self) -> "PieceTable":
        """The bytes of every token, those of control tokens written out."""
        return PieceTable(self.handle, self.size, special=True)

    def detokenize(self, tokens: Iterable[int], *, unparse_special: bool) -> bytes:
        """The bytes of `tokens` in a row, control tokens only with `unparse_special`."""
        pieces = self.full_pieces if unparse_special else self.pieces
        return b"".join(pieces[token] for token in tokens)

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """The tokens by which the model ends an answer."""
        named = (
            c.llama_vocab_eos(self.handle),
            c.llama_vocab_eot(self.handle),
            c.llama_vocab_fim_pad(self.handle),
            c.llama_vocab_fim_rep(self.handle),
            c.llama_vocab_fim_sep(self.handle),
            self._end_of_message,
        )
        # What llama.cpp finds by its text, it makes a control token.
        candidates = {*self._special_tokens, *(token for token in named if token >= 0)}
        return frozenset(t for t in candidates if c.llama_vocab_is_eog(self.handle, t))

    @cached_property
    def control_texts(self) -> frozenset[str]:
        """What a caller would have to write to forge a control token."""
        pieces = (self.full_pieces[token] for token in self._special_tokens)
        return frozenset(text for piece in pieces if (text := piece.decode("utf-8", "ignore")))

    @cached_property
    def _special_tokens(self) -> tuple[int, ...]:
        """Control and unknown tokens that have a text. To ask for each token of a large vocabulary
        takes a tenth of a second, to ask for blocks of them 5 ms."""
        special = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_UNKNOWN
        ids = np.arange(self.size, dtype=np.int32)
        blocks = (ids[at : at + _BLOCK_TOKENS] for at in range(0, self.size, _BLOCK_TOKENS))
        return tuple(
            token
            for block in blocks
            if self._num_bytes(block, special=True) > self._num_bytes(block, special=False)
            for token in block.tolist()
            if c.llama_vocab_get_attr(self.handle, token) & special
        )

    def _num_bytes(self, tokens: NDArray[np.int32], *, special: bool) -> int:
        """The length of the texts of `tokens`."""
        array = tokens.ctypes.data_as(_TokenPointer)
        # Where there is no room, llama.cpp says how much is needed.
        return -int(c.llama_detokenize(self.handle, array, len(tokens), None, 0, False, special))

    @cached_property
    def suppressed_tokens(self) -> frozenset[int]:
        """Tokens the model file says must never be chosen."""
        count = ctypes.c_int32(0)
        tokens = c.llama_vocab_get_suppress_tokens(self.handle, ctypes.byref(count))
        return frozenset(tokens[: count.value]) if count.value else frozenset()

    @property
    def adds_start(self) -> bool:
        return bool(c.llama_vocab_get_add_bos(self.handle))

    @property
    def start_text(self) -> str:
        """The start token written out, for templates; empty if there is none."""
        return self._text(c.llama_vocab_bos(self.handle))

    @property
    def end_text(self) -> str:
        """The end token written out, for templates; empty if there is none."""
        return self._text(c.llama_vocab_eos(self.handle))

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
        self._buffer = ctypes.create_string_buffer(_PIECE_BYTES)

    def __missing__(self, token: int) -> bytes:
        if not 0 <= token < self._size:
            # llama.cpp would end the process.
            raise IndexError(f"there is no token {token}")
        piece = self[token] = self._look_up(token)
        return piece

    def _look_up(self, token: int) -> bytes:
        buffer = self._buffer
        length = c.llama_token_to_piece(
            self._vocabulary, token, buffer, len(buffer), 0, self._special
        )
        if length >= 0:
            return buffer.raw[:length]
        self._buffer = ctypes.create_string_buffer(-length)
        return self._look_up(token)
