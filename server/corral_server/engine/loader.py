"""From a path to a loop that is ready to run, in two phases: look at the file, then load it.

Between the two the server decides whether there is room; it never has to parse a file itself.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import psutil

from corral_server.config import LoadOptions
from corral_server.engine.gguf import ModelFiles, read_model_files
from corral_server.engine.loop import EngineLoop
from corral_server.engine.prompt import PromptEncoder
from corral_server.engine.runner import LlamaRunner
from corral_server.engine.scheduler import Scheduler
from corral_server.errors import ModelLoadFailed
from corral_server.ipc.channel import Channel, ChannelClosed
from corral_server.ipc.messages import (
    EngineFacts,
    Loading,
    LoadStage,
    ModelFacts,
    Probed,
    Proceed,
    Ready,
    Start,
)
from corral_server.llama import library
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import ContextOptions, LlamaContext
from corral_server.llama.model import LlamaModel

_DEFAULT_CONTEXT = 8192
_PROGRESS_STEP = 0.01
_WARM_UP_TOKENS = 8


def load(channel: Channel, resources: ExitStack) -> EngineLoop:
    """Answers Start and Proceed. What is opened is closed by `resources`, in reverse.

    Raises ModelFileNotFound, ModelFileInvalid or ModelLoadFailed.
    """
    start = _hear_start(channel)
    library.initialize()
    files = read_model_files(Path(start.path))
    channel.send([Probed(_model_facts(files))])
    _hear_proceed(channel)
    model = LlamaModel.load(files.paths, _Progress(channel))
    resources.callback(model.close)
    if not model.can_generate:
        raise ModelLoadFailed("it is an encoder, which cannot continue text")
    options = _context_options(start.options, model)
    context = LlamaContext(model, options)
    resources.callback(context.close)
    channel.send([Loading(LoadStage.WARMING, 0.0)])
    _warm_up(context, model, options)
    facts = _engine_facts(options, context, model)
    channel.send([Ready(facts)])
    return EngineLoop(
        channel,
        scheduler=Scheduler(
            slots=options.slots,
            cells=facts.context_size,
            batch_tokens=options.batch_size,
            max_waiting=start.options.max_waiting,
        ),
        runner=LlamaRunner(context, model.vocabulary, batch_tokens=options.batch_size),
        encoder=PromptEncoder(
            model.vocabulary,
            template=model.chat_template(tools=False),
            tool_template=model.chat_template(tools=True),
        ),
        vocabulary=model.vocabulary,
        sequence_limit=facts.sequence_limit,
    )


def _hear_start(channel: Channel) -> Start:
    (command,) = channel.drain(block=True)
    assert isinstance(command, Start)
    return command


def _hear_proceed(channel: Channel) -> None:
    (command,) = channel.drain(block=True)
    assert isinstance(command, Proceed)


class _Progress:
    """Tells the server how far the weights are, a hundred times at most."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._told = -1.0

    def __call__(self, fraction: float) -> bool:
        """Whether to go on: not if the server is gone. Never raises, since C calls it."""
        if fraction < 1.0 and fraction - self._told < _PROGRESS_STEP:
            return True
        self._told = fraction
        try:
            self._channel.send([Loading(LoadStage.LOADING, fraction)])
        except ChannelClosed:
            return False
        return True


def _context_options(options: LoadOptions, model: LlamaModel) -> ContextOptions:
    wanted = min(model.trained_context * options.slots, _DEFAULT_CONTEXT)
    return ContextOptions(
        context_size=options.context_size or wanted,
        slots=options.slots,
        batch_size=options.batch_size,
        threads=options.threads or _physical_cores(),
    )


def _physical_cores() -> int:
    """The physical cores, but no more than this process may use."""
    return min(psutil.cpu_count(logical=False) or 1, len(os.sched_getaffinity(0)))


def _warm_up(context: LlamaContext, model: LlamaModel, options: ContextOptions) -> None:
    """One small prompt, so that the first caller does not wait for pages to be touched, and a model
    that cannot compute fails now: prompts and answers take different ways through llama.cpp, and
    it is prompts that take the dangerous one. The vocabulary's tables are built for the same
    reason.
    """
    token = next(iter(model.vocabulary.end_tokens), 0)
    count = min(_WARM_UP_TOKENS, options.batch_size)
    rows = LlamaBatch(count)
    rows.add([token] * count, position=0, sequence=0, wanted=True)
    context.decode(rows)
    context.clear()
    _ = model.vocabulary.pieces, model.vocabulary.full_pieces


def _model_facts(files: ModelFiles) -> ModelFacts:
    header = files.first
    return ModelFacts(
        architecture=header.architecture,
        name=header.name or "",
        parameter_count=files.parameter_count,
        quantization=library.quantization_name(header.file_type),
        file_bytes=files.total_bytes,
        vocab_size=header.vocab_size or 0,
        embedding_size=header.embedding_length or 0,
        trained_context=header.context_length or 0,
        has_chat_template=header.chat_template is not None,
    )


def _engine_facts(options: ContextOptions, context: LlamaContext, model: LlamaModel) -> EngineFacts:
    return EngineFacts(
        context_size=context.size,
        sequence_limit=min(context.size, model.trained_context),
        slots=options.slots,
        memory_bytes=psutil.Process().memory_info().rss,
    )
