"""Ends the computation of a batch where the vectors of its tokens are known.

A causal model goes on to the logits of every token whose vector is wanted, though nobody reads
them: with a vocabulary of 152,000 tokens they are most of the work.
"""

import ctypes

from llama_cpp import llama_cpp as c

# llama.cpp's name for what comes out of a context that embeds, pooled by it or not.
_VECTORS = b"result_embd_pooled"

_name = c._lib.ggml_get_name
_name.argtypes = [ctypes.c_void_p]
_name.restype = ctypes.c_char_p


@c.ggml_backend_sched_eval_callback  # type: ignore[untyped-decorator]  # a ctypes callback type
def stop_at_vectors(tensor: int, ask: bool, _user_data: int) -> bool:
    """With `ask`, whether to halt once `tensor` is computed; without, whether to go on from it."""
    return ask and _name(tensor) == _VECTORS
