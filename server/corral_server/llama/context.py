"""A model's KV cache and its computation."""

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as c

from corral_server.errors import ModelLoadFailed
from corral_server.llama import library
from corral_server.llama.adapter import LlamaAdapter
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context_options import ContextOptions
from corral_server.llama.effort import Effort
from corral_server.llama.host_memory import State
from corral_server.llama.model import LlamaModel

__all__ = ["ContextOptions", "DecodeFailed", "Interrupted", "LlamaContext", "NoCells"]

_NO_CELLS = 1
_ABORTED = 2


# Texts of length 0 and 1: see LlamaContext._watch_stop.
_GO_ON, _STOP = b"\0", b"\1"
_strlen = ctypes.CDLL(None).strlen

_get_logits = library.address_of_rows("llama_get_logits")
_get_embeddings = library.address_of_rows("llama_get_embeddings")


class NoCells(Exception):
    """The KV cache has no room for a batch. Nothing has changed."""


class Interrupted(Exception):
    """`interrupt` was called while a batch was computed. Some of it may be."""


class DecodeFailed(Exception):
    """llama.cpp gave up in the middle of a batch; the context is of no more use."""


class LlamaContext:
    """`slots` sequences that share one KV cache. For one thread; close it before its model."""

    def __init__(
        self,
        model: LlamaModel,
        options: ContextOptions,
        adapters: Sequence[LlamaAdapter] = (),
    ) -> None:
        """Raises InvalidFields for options this model cannot have, or ModelLoadFailed."""
        options.check(model)
        self._vocab_size = model.vocabulary.size
        self.threads = options.threads
        self._embedding_size = model.embedding_size
        # Where the last view lay; llama.cpp seldom moves its rows, and a view takes 20 us.
        self._logits_at = 0, 0
        self._logits = np.empty((0, self._vocab_size), np.float32)
        library.take_errors()
        handle = c.llama_init_from_model(model.handle, options.params())
        if not handle:
            raise ModelLoadFailed(
                f"llama.cpp could not make room for {options.context_size} tokens of context: "
                + "; ".join(library.take_errors())
            )
        self.handle = handle
        self._memory = c.llama_get_memory(handle)
        self._can_stop = model.can_truncate
        self._stop = ctypes.create_string_buffer(_GO_ON, 2)
        self._watch_stop()
        if adapters:
            try:
                self.apply(adapters)
            except ModelLoadFailed:
                self.close()
                raise

    @property
    def has_cache(self) -> bool:
        """Whether it remembers what it computed: an encoder's does not."""
        return self._memory is not None

    @property
    def size(self) -> int:
        """Tokens the KV cache really holds; llama.cpp rounds up."""
        return int(c.llama_n_ctx(self.handle))

    def apply(self, adapters: Sequence[LlamaAdapter]) -> None:
        """Adds `adapters` to the weights, in this context only. Raises ModelLoadFailed."""
        handles = (c.llama_adapter_lora_p_ctypes * len(adapters))(
            *(adapter.handle for adapter in adapters)  # type: ignore[misc]  # its own pointer type
        )
        scales = (ctypes.c_float * len(adapters))(*(adapter.scale for adapter in adapters))
        code = c.llama_set_adapters_lora(self.handle, handles, len(adapters), scales)
        if code != 0:
            raise ModelLoadFailed(f"llama.cpp could not apply the adapters: {code}")

    def decode(self, batch: LlamaBatch) -> Effort:
        """Computes `batch`. Raises NoCells (nothing changed), Interrupted or DecodeFailed (all is
        lost)."""
        began_s, was_busy_s = time.perf_counter(), time.thread_time()
        self._stop[0] = _GO_ON
        code = c.llama_decode(self.handle, batch.struct)
        if code == _NO_CELLS:
            raise NoCells
        if code == _ABORTED:
            # It tells what was asked for as an error; of a later one it is no cause.
            library.take_errors()
            raise Interrupted
        if code != 0:
            raise DecodeFailed(f"llama_decode returned {code}: {library.take_errors()}")
        c.llama_synchronize(self.handle)
        return Effort(time.perf_counter() - began_s, time.thread_time() - was_busy_s)

    def interrupt(self) -> None:
        """Ends the `decode` that runs on another thread, after the operation it is at. A model that
        cannot drop what was half computed computes on."""
        if self._can_stop:
            self._stop[0] = _STOP

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Computes on one thread while the block lasts.

        Threads that compute together wait for each other by spinning. Beside another engine that
        does the same on the same cores, each computation can cost both half a second.
        """
        c.llama_set_n_threads(self.handle, 1, 1)
        try:
            yield
        finally:
            c.llama_set_n_threads(self.handle, self.threads, self.threads)

    def use_threads(self, count: int) -> None:
        """Computes on so many threads from now on."""
        if count != self.threads:
            self.threads = count
            c.llama_set_n_threads(self.handle, count, count)

    def make_room(self, batch: LlamaBatch) -> None:
        """Has what computing `batch` takes allocated, and gives up at the first operation."""
        self._stop[0] = _STOP
        c.llama_decode(self.handle, batch.struct)
        c.llama_synchronize(self.handle)
        library.take_errors()

    def _watch_stop(self) -> None:
        """Lets llama.cpp ask after each operation whether to stop.

        It asks some thousand times a batch, and a Python function would stop all its threads for
        the interpreter each time. The C library's strlen does the same without: the text is empty
        while there is nothing to stop.
        """
        address = ctypes.cast(_strlen, ctypes.c_void_p)
        ask = ctypes.cast(address, c.ggml_abort_callback)
        c.llama_set_abort_callback(self.handle, ask, ctypes.addressof(self._stop))

    def logits(self, rows: int) -> npt.NDArray[np.float32]:
        """The logits of the last batch's wanted rows, in order: (rows, vocabulary).

        A view into llama.cpp's memory, valid until the next decode.
        """
        address = _get_logits(self.handle)
        if (address, rows) != self._logits_at:
            self._logits = _view(address, (rows, self._vocab_size))
            self._logits_at = address, rows
        return self._logits

    def token_vectors(self, rows: int) -> npt.NDArray[np.float32]:
        """The vectors of the last batch's rows, in order: (rows, embedding size).

        A view like that of `logits`, of a context that embeds.
        """
        return _view(_get_embeddings(self.handle), (rows, self._embedding_size))

    def forget(self, sequence: int, start: int = 0, end: int | None = None) -> bool:
        """Lets one sequence drop its tokens from `start` up to `end`, by default all that follow.
        Cells that no other holds are free then. False: this model cannot drop just a part."""
        assert self._memory is not None
        last = -1 if end is None else end
        return bool(c.llama_memory_seq_rm(self._memory, sequence, start, last))

    def share(self, source: int, sequence: int, start: int, end: int) -> None:
        """Lets one sequence hold the cells of another, from token `start` up to `end`."""
        assert self._memory is not None
        c.llama_memory_seq_cp(self._memory, source, sequence, start, end)

    def save(self, sequence: int, take: Callable[[int], State]) -> State:
        """All that is remembered of one sequence, in memory that `take` makes room in."""
        size = c.llama_state_seq_get_size(self.handle, sequence)
        state = take(size)
        buffer = (ctypes.c_uint8 * size).from_buffer(state)
        written = c.llama_state_seq_get_data(self.handle, buffer, size, sequence)
        assert written == size
        return state

    def restore(self, sequence: int, state: State) -> None:
        """Lets an empty sequence remember what was saved. Raises DecodeFailed if that does not fit:
        whoever counts cells has seen that it does."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        if not c.llama_state_seq_set_data(self.handle, buffer, len(state), sequence):
            raise DecodeFailed(f"a saved sequence did not fit back: {library.take_errors()}")

    def clear(self) -> None:
        assert self._memory is not None
        c.llama_memory_clear(self._memory, True)

    def close(self) -> None:
        c.llama_free(self.handle)


def _view(address: int, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Rows of floats in llama.cpp's memory."""
    assert address
    rows, width = shape
    buffer = (ctypes.c_float * (rows * width)).from_address(address)
    return np.ctypeslib.as_array(buffer).reshape(shape)
