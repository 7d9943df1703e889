"""LoRA adapters: small weights that are added to a model's own."""

from pathlib import Path
from typing import Self

from llama_cpp import llama_cpp as c

from corral_server.errors import ModelLoadFailed
from corral_server.llama import library
from corral_server.llama.model import LlamaModel


class LlamaAdapter:
    """A loaded adapter and how strongly it is applied. The model frees it when it closes."""

    def __init__(self, handle: "c.llama_adapter_lora_p", scale: float) -> None:
        self.handle = handle
        self.scale = scale

    @classmethod
    def load(cls, model: LlamaModel, path: Path, scale: float) -> Self:
        """Raises ModelLoadFailed for a file that is no adapter of this model."""
        library.take_errors()
        handle = c.llama_adapter_lora_init(model.handle, str(path).encode())
        if not handle:
            why = "; ".join(library.take_errors()) or "llama.cpp gave no reason"
            raise ModelLoadFailed(f"the adapter {path.name} does not fit this model: {why}")
        return cls(handle, scale)
