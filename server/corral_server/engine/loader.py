"""From a path to a loop that is ready to run, in two phases: look at the file, then load it.

Between the two the server decides whether there is room; it never has to parse a file itself.
"""

from contextlib import ExitStack
from pathlib import Path

from corral_server.engine.assembly import make_embeddings, make_generation
from corral_server.engine.gguf import ModelFiles, read_model_files
from corral_server.engine.loop import EngineLoop
from corral_server.engine.plan import Plan
from corral_server.engine.probe import probe
from corral_server.engine.prompt import PromptEncoder
from corral_server.engine.spin_policy import SpinPolicy
from corral_server.engine.warm_up import WarmContexts, warm_up
from corral_server.engine.weights import Weights
from corral_server.ipc.channel import Channel
from corral_server.ipc.frame import ChannelClosed
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
from corral_server.llama.model import LlamaModel
from corral_server.llama.process import resident_bytes
from corral_server.llama.spin import Spin

_PROGRESS_STEP = 0.01


def load(channel: Channel, resources: ExitStack) -> EngineLoop:
    """Answers Start and Proceed. What is opened is closed by `resources`, in reverse.

    Raises what is wrong with the model: ModelFileNotFound, ModelFileInvalid, ModelLoadFailed,
    InvalidFields, CapabilityNotSupported or ChatTemplateFailed.
    """
    start = _hear_start(channel)
    library.initialize()
    files = read_model_files(Path(start.path))
    plan, footprint = probe(files, start)
    channel.send([Probed(_model_facts(files), footprint)])
    _hear_proceed(channel)
    before = resident_bytes()
    weights = Weights.load(files.paths, plan, start.options.lora, _Progress(channel), resources)
    channel.send([Loading(LoadStage.WARMING, 0.0)])
    contexts = warm_up(plan, weights, resources)
    loop = _make_loop(channel, start, plan, weights, contexts)
    # What is kept in host memory comes later, but it is part of what was asked for.
    growth = contexts.height - before + plan.host_cache_bytes
    channel.send([Ready(_engine_facts(plan, weights.model, growth=growth))])
    return loop


def _make_loop(
    channel: Channel, start: Start, plan: Plan, weights: Weights, contexts: WarmContexts
) -> EngineLoop:
    model = weights.model
    max_waiting = start.options.max_waiting
    template = start.options.chat_template
    encoder = PromptEncoder(
        model.vocabulary,
        template=template or model.chat_template(tools=False),
        tool_template=template or model.chat_template(tools=True),
    )
    spin = SpinPolicy(Spin().be_brief)
    generation = make_generation(plan, weights, contexts, start.options, spin)
    embeddings = make_embeddings(
        plan, weights, contexts, encoder, max_waiting=max_waiting, spin=spin
    )
    return EngineLoop(
        channel,
        scheduler=generation.scheduler,
        runner=generation.runner,
        encoder=encoder,
        vocabulary=model.vocabulary,
        sequence_limit=_sequence_limit(plan, model),
        patience_s=start.options.step_target_s,
        embeddings=embeddings,
        on_crowd=spin.crowd,
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


def _engine_facts(plan: Plan, model: LlamaModel, *, growth: int) -> EngineFacts:
    main = plan.contexts[0]
    return EngineFacts(
        context_size=main.context_size,
        sequence_limit=_sequence_limit(plan, model),
        slots=main.slots,
        memory_bytes=resident_bytes(),
        growth_bytes=growth,
        threads=main.threads,
    )


def _sequence_limit(plan: Plan, model: LlamaModel) -> int:
    if plan.generation is None:
        return plan.embedding_limit
    return min(plan.generation.context_size, model.trained_context)
