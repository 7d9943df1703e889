"""A model's weights and what its file says about itself."""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Self

from llama_cpp import llama_cpp as c

from corral_server.config import Pooling
from corral_server.errors import ModelLoadFailed
from corral_server.llama import library
from corral_server.llama.model_options import DEFAULT_OPTIONS, ModelOptions, ModelParams
from corral_server.llama.vocabulary import Vocabulary

_TEMPLATE_NAMES = (b"tool_use",)
_VALUE_BYTES = 256
_POOLINGS = {
    c.LLAMA_POOLING_TYPE_MEAN: Pooling.MEAN,
    c.LLAMA_POOLING_TYPE_CLS: Pooling.CLS,
    c.LLAMA_POOLING_TYPE_LAST: Pooling.LAST,
}


class LlamaModel:
    """A loaded model. Close it after every context and sampler made from it."""

    def __init__(self, handle: "c.llama_model_p") -> None:
        self.handle = handle
        vocab = c.llama_model_get_vocab(handle)
        assert vocab is not None
        end_of_message = self._text("tokenizer.ggml.eom_token_id")
        self.vocabulary = Vocabulary(
            vocab, end_of_message=int(end_of_message) if end_of_message.isdecimal() else -1
        )

    @classmethod
    def load(
        cls,
        files: Sequence[Path],
        on_progress: Callable[[float], bool],
        options: ModelOptions = DEFAULT_OPTIONS,
    ) -> Self:
        """Loads a model from its file or, in order, its shards.

        `on_progress` is called with 0 to 1 and ends the load by returning False; it must not
        raise. Raises ModelLoadFailed with what llama.cpp said, or InvalidFields for `options`.
        """
        # Both are referenced until the load returns: llama.cpp keeps bare pointers.
        params = ModelParams(options)
        callback = c.llama_progress_callback(lambda fraction, _: on_progress(fraction))
        params.struct.progress_callback = callback
        library.take_errors()
        handle = _load(files, params.struct)
        if not handle:
            raise ModelLoadFailed(f"llama.cpp could not load it: {_why()}")
        return cls(handle)

    @property
    def trained_context(self) -> int:
        return int(c.llama_model_n_ctx_train(self.handle))

    @property
    def weight_bytes(self) -> int:
        """What all tensors take, wherever they are; a dry run knows it too."""
        return int(c.llama_model_size(self.handle))

    @property
    def embedding_size(self) -> int:
        """Length of the vectors that come out."""
        return int(c.llama_model_n_embd_out(self.handle))

    def head_size(self, part: Literal["key", "value"]) -> int:
        """Numbers one head's key or value has."""
        stated = self._number(f"attention.{part}_length")
        heads = int(c.llama_model_n_head(self.handle))
        return stated or int(c.llama_model_n_embd(self.handle)) // max(heads, 1)

    @property
    def own_pooling(self) -> Pooling | None:
        """How the file says its tokens' vectors become one."""
        return _POOLINGS.get(self._number("pooling_type"))

    def _number(self, key: str) -> int:
        """A number the file states of its architecture; 0 if it does not."""
        architecture = self._text("general.architecture")
        text = self._text(f"{architecture}.{key}")
        return int(text) if text.isdecimal() else 0

    def _text(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(_VALUE_BYTES)
        length = c.llama_model_meta_val_str(self.handle, key.encode(), buffer, _VALUE_BYTES)
        return buffer.value.decode("utf-8", "replace") if length >= 0 else ""

    @property
    def can_generate(self) -> bool:
        """Whether it continues text: encoders do not, and encoder-decoders need another loop."""
        return c.llama_model_has_decoder(self.handle) and not c.llama_model_has_encoder(self.handle)

    @property
    def can_truncate(self) -> bool:
        """Whether a sequence can drop its last tokens. What recurrent layers remember cannot be
        taken apart."""
        recurrent = c.llama_model_is_recurrent(self.handle) or c.llama_model_is_hybrid(self.handle)
        return not recurrent

    def chat_template(self, *, tools: bool) -> str | None:
        """The Jinja template in the file, its own one for tools if it has one and they are used."""
        names = (*_TEMPLATE_NAMES, None) if tools else (None,)
        found = (c.llama_model_chat_template(self.handle, name) for name in names)
        return next((template.decode("utf-8", "replace") for template in found if template), None)

    def close(self) -> None:
        c.llama_model_free(self.handle)


def _load(files: Sequence[Path], params: c.llama_model_params) -> "c.llama_model_p | None":
    handle: c.llama_model_p | None
    if len(files) == 1:
        handle = c.llama_model_load_from_file(str(files[0]).encode(), params)
    else:
        paths = (ctypes.c_char_p * len(files))(*(str(file).encode() for file in files))
        handle = c.llama_model_load_from_splits(paths, len(files), params)
    return handle


def _why() -> str:
    """What llama.cpp said last, without the names of its own functions."""
    errors = library.take_errors()
    return errors[0].partition(": ")[2] or errors[0] if errors else "it gave no reason"
