"""The stateless mode: a fresh context for each request, and between requests only the weights."""

from collections.abc import Callable

from corral_server.engine.batch import Batch, Operation
from corral_server.engine.crew import Crew
from corral_server.engine.kv_cache import KvCache, Policy
from corral_server.engine.pace import Pace
from corral_server.engine.runner import LlamaRunner, make_sampler
from corral_server.engine.scheduler import Scheduler
from corral_server.engine.sequence import Sequence
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.llama.context import LlamaContext
from corral_server.llama.process import give_back_memory
from corral_server.llama.sampler import LlamaSampler
from corral_server.llama.vocabulary import Vocabulary
from corral_server.request import GenerationRequest

OpenContext = Callable[[int], LlamaContext]


class DirectScheduler(Scheduler):
    """One request at a time, and one more step behind the last, in which its slot is emptied."""

    def __init__(self, *, cells: int, pace: Pace, max_waiting: int) -> None:
        cache = KvCache(cells=cells, slots=1, policy=Policy(keeps=False))
        super().__init__(slots=1, cache=cache, pace=pace, max_waiting=max_waiting)

    @property
    def has_work(self) -> bool:
        return super().has_work or self.has_unsettled


class DirectRunner:
    """Opens a context when a request begins and closes it when its slot is emptied."""

    def __init__(
        self,
        open_context: OpenContext,
        vocabulary: Vocabulary,
        *,
        batch_tokens: int,
        spin: SpinPolicy,
    ) -> None:
        """`open_context` makes one for so many tokens."""
        self._spin = spin
        self._open_context = open_context
        self._vocabulary = vocabulary
        self._batch_tokens = batch_tokens
        self._crew: Crew | None = None
        self._context: LlamaContext | None = None
        self._runner: LlamaRunner | None = None

    @property
    def has_context(self) -> bool:
        return self._context is not None

    def sampler(self, request: GenerationRequest, prompt: list[int]) -> LlamaSampler | None:
        return make_sampler(request, prompt, self._vocabulary)

    def compute(self, batch: Batch) -> None:
        """As LlamaRunner does; a batch of nothing only ends the request before."""
        self.carry_out(batch.operations)
        batch.operations.clear()
        if not batch.items:
            return
        if self._runner is None:
            self._runner = self._open(batch.items[0].sequence)
        self._runner.compute(batch)

    def carry_out(self, operations: list[Operation]) -> None:
        """With nothing kept and nothing shared, all there is to do is to empty the slot."""
        if operations:
            self.close()

    def pick(self, batch: Batch) -> list[int]:
        """As LlamaRunner does."""
        return [] if self._runner is None else self._runner.pick(batch)

    def interrupt(self) -> None:
        """Ends a `compute` that runs on another thread."""
        runner = self._runner
        if runner is not None:
            runner.interrupt()

    def _open(self, sequence: Sequence) -> LlamaRunner:
        self._context = self._open_context(sequence.max_length)
        # What is learned of one request holds for the next.
        self._crew = self._crew or Crew(self._context.threads)
        return LlamaRunner(
            self._context,
            self._vocabulary,
            batch_tokens=self._batch_tokens,
            spin=self._spin,
            crew=self._crew,
        )

    def close(self) -> None:
        """Frees the context, if there is one."""
        if self._context is not None:
            self._context.close()
            give_back_memory()
        self._context = self._runner = None
