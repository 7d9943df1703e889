"""A model's weights in memory, adapters included, and the contexts that are made of them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from corral_server.config import LoraAdapter
from corral_server.engine.plan import Plan, resized
from corral_server.llama import library
from corral_server.llama.adapter import LlamaAdapter
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import ContextOptions, LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.llama.process import release_pages, touch_new, writable_memory

_REPACKED = "REPACK model buffer size"
# Logged between the allocation of large tables that are hardly used, and of what is computed in.
_LAID_OUT = "sched_reserve: worst-case"


class Weights:
    """Valid as long as the ExitStack it was loaded with is open."""

    def __init__(self, model: LlamaModel, adapters: Sequence[LlamaAdapter]) -> None:
        self.model = model
        self._adapters = adapters

    @classmethod
    def load(
        cls,
        files: Sequence[Path],
        plan: Plan,
        lora: Sequence[LoraAdapter],
        on_progress: Callable[[float], bool],
        resources: ExitStack,
    ) -> "Weights":
        """Raises ModelLoadFailed."""
        with library.overhear() as log:
            model = LlamaModel.load(files, on_progress, plan.model)
        resources.callback(model.close)
        if plan.model.use_mmap and any(_REPACKED in line for line in log):
            # Those weights were copied into another order; what was read for it is of no more use.
            release_pages(files)
        adapters = [LlamaAdapter.load(model, Path(each.path), each.scale) for each in lora]
        _ = model.vocabulary.end_tokens
        return cls(model, adapters)

    def context(self, options: ContextOptions, resources: ExitStack) -> LlamaContext:
        """A context that stays, the buffers it computes in there from the start."""
        before = writable_memory()

        def on_log(line: str) -> None:
            nonlocal before
            if _LAID_OUT in line:
                before = writable_memory()

        with library.listening(on_log):
            context = LlamaContext(self.model, options)
            resources.callback(context.close)
            if self._adapters:
                # The first batch starts threads, whose stacks are not for use; the first one with
                # adapters lays everything out anew.
                context.make_room(_one_token())
                context.apply(self._adapters)
                context.make_room(_one_token())
        touch_new(before)
        return context

    def passing_context(self, options: ContextOptions, size: int) -> LlamaContext:
        """A context for one call that needs `size` tokens. The caller closes it."""
        return LlamaContext(self.model, resized(options, size), self._adapters)


def _one_token() -> LlamaBatch:
    rows = LlamaBatch(1)
    rows.add([0], position=0, sequence=0, wanted=True)
    return rows
