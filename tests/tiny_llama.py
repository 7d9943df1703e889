"""llama.cpp in the test's own process, with the tiny models of `tiny_gguf`."""

from functools import cache
from pathlib import Path

from corral_server.llama import library
from corral_server.llama.context import ContextOptions, LlamaContext
from corral_server.llama.model import LlamaModel


@cache
def start_llama() -> None:
    """Once per process."""
    library.initialize()


def load_model(*files: Path) -> LlamaModel:
    start_llama()
    return LlamaModel.load(files, lambda _: True)


def make_context(
    model: LlamaModel, *, context_size: int = 256, slots: int = 4, batch_size: int = 64
) -> LlamaContext:
    options = ContextOptions(
        context_size=context_size, slots=slots, batch_size=batch_size, threads=1
    )
    return LlamaContext(model, options)
