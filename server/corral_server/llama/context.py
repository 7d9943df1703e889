"""A model's KV cache and its computation."""

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as c

from corral_server.errors import ModelLoadFailed
from corral_server.llama import library
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.model import LlamaModel

_NO_CELLS = 1


class NoCells(Exception):
    """The KV cache has no room for a batch. Nothing has changed."""


class DecodeFailed(Exception):
    """llama.cpp gave up in the middle of a batch; the context is of no more use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOptions:
    """Sizes in tokens. One batch is one graph: `batch_size` is llama.cpp's n_batch and n_ubatch."""

    context_size: int
    slots: int
    batch_size: int
    threads: int


class LlamaContext:
    """`slots` sequences that share one KV cache. For one thread; close it before its model."""

    def __init__(self, model: LlamaModel, options: ContextOptions) -> None:
        self._vocab_size = model.vocabulary.size
        library.take_errors()
        handle = c.llama_init_from_model(model.handle, _params(options))
        if not handle:
            raise ModelLoadFailed(
                f"llama.cpp could not make room for {options.context_size} tokens of context: "
                + "; ".join(library.take_errors())
            )
        self.handle = handle
        memory = c.llama_get_memory(handle)
        assert memory is not None
        self._memory = memory

    @property
    def size(self) -> int:
        """Tokens the KV cache really holds; llama.cpp rounds up."""
        return int(c.llama_n_ctx(self.handle))

    def decode(self, batch: LlamaBatch) -> None:
        """Computes `batch`. Raises NoCells (nothing changed) or DecodeFailed (all is lost)."""
        code = c.llama_decode(self.handle, batch.struct)
        if code == _NO_CELLS:
            raise NoCells
        if code != 0:
            raise DecodeFailed(f"llama_decode returned {code}: {library.take_errors()}")
        c.llama_synchronize(self.handle)

    def logits(self, rows: int) -> npt.NDArray[np.float32]:
        """The logits of the last batch's wanted rows, in order: (rows, vocabulary).

        A view into llama.cpp's memory, valid until the next decode.
        """
        address = ctypes.cast(c.llama_get_logits(self.handle), ctypes.c_void_p).value
        assert address is not None
        buffer = (ctypes.c_float * (rows * self._vocab_size)).from_address(address)
        return np.ctypeslib.as_array(buffer).reshape(rows, self._vocab_size)

    def forget(self, sequence: int) -> None:
        """Frees the cells of one sequence."""
        c.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        c.llama_memory_clear(self._memory, True)

    def close(self) -> None:
        c.llama_free(self.handle)


def _params(options: ContextOptions) -> c.llama_context_params:
    params: c.llama_context_params = c.llama_context_default_params()
    params.n_ctx = options.context_size
    params.n_seq_max = options.slots
    params.n_batch = params.n_ubatch = options.batch_size
    # One row of logits per slot: the default sizes the buffer for every token of a batch.
    params.n_outputs_max = options.slots
    params.n_threads = params.n_threads_batch = options.threads
    params.kv_unified = True
    return params
