"""The arrays one decode reads, allocated once and filled by slices."""

import ctypes

import numpy as np
from llama_cpp import llama_cpp as c

_INT32 = ctypes.POINTER(ctypes.c_int32)


class LlamaBatch:
    """Rows of (token, position, sequence, wanted). `wanted` asks for logits behind that row."""

    def __init__(self, capacity: int) -> None:
        self._tokens = np.empty(capacity, np.int32)
        self._positions = np.empty(capacity, np.int32)
        self._sequences = np.empty(capacity, np.int32)
        self._counts = np.ones(capacity, np.int32)
        self._wanted = np.zeros(capacity, np.int8)
        # Row i belongs to one sequence, the i-th of `_sequences`: this table never changes.
        rows = (_INT32 * (capacity + 1))()
        for row in range(capacity):
            rows[row] = self._sequences[row:].ctypes.data_as(_INT32)
        self._rows = rows
        self.struct = c.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(_INT32),
            embd=None,
            pos=self._positions.ctypes.data_as(_INT32),
            n_seq_id=self._counts.ctypes.data_as(_INT32),
            seq_id=rows,
            logits=self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def __len__(self) -> int:
        return int(self.struct.n_tokens)

    def clear(self) -> None:
        self.struct.n_tokens = 0

    def add(self, tokens: list[int], *, position: int, sequence: int, wanted: bool) -> int:
        """Appends consecutive tokens of one sequence and returns the row of the last.

        Only the last row's logits can be wanted.
        """
        start = len(self)
        end = start + len(tokens)
        if len(tokens) == 1:  # an answer: to set one number takes half as long as a slice
            self._tokens[start] = tokens[0]
            self._positions[start] = position
            self._sequences[start] = sequence
        else:
            self._tokens[start:end] = tokens
            self._positions[start:end] = np.arange(position, position + len(tokens))
            self._sequences[start:end] = sequence
            self._wanted[start:end] = 0
        self._wanted[end - 1] = wanted
        self.struct.n_tokens = end
        return end - 1

    def want_all(self) -> None:
        """Asks for an output behind every row added so far."""
        self._wanted[: len(self)] = 1
