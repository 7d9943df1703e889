"""Tokens with their logits, in memory that llama.cpp's chains read, change and reorder."""

import ctypes

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as c

_TOKEN = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """Room for `capacity` tokens, allocated once."""

    def __init__(self, capacity: int) -> None:
        table = np.empty(capacity, _TOKEN)
        self._ids = table["id"]
        self._logits = table["logit"]
        self._struct = c.llama_token_data_array(
            data=table.ctypes.data_as(ctypes.POINTER(c.llama_token_data)),
            size=0,
            selected=-1,
            sorted=False,
        )
        self.pointer = ctypes.byref(self._struct)

    def fill(self, ids: npt.NDArray[np.intp], logits: npt.NDArray[np.float32]) -> None:
        """Replaces what is there by `ids`, each once, at most `capacity`, and their logits."""
        count = len(ids)
        self._ids[:count] = ids
        self._logits[:count] = logits
        self._struct.size = count
        self._struct.selected = -1
        self._struct.sorted = False

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """As the last chain has left them: changed, fewer, in another order. A view."""
        return self._logits[: self._struct.size]

    @property
    def selected(self) -> int:
        """The token the last chain has chosen, which must have ended in a choice."""
        assert 0 <= self._struct.selected < self._struct.size
        return int(self._ids[self._struct.selected])
