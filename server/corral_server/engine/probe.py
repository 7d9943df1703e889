"""The first phase of a load: what the model is, whether it can do what is asked, what it takes."""

from dataclasses import replace
from pathlib import Path

from corral_server.config import Pooling
from corral_server.engine.chat_template import ChatTemplate
from corral_server.engine.gguf import ModelFiles, read_header
from corral_server.engine.plan import (
    Plan,
    plan_embedding,
    plan_generation,
    plan_host_cache,
    plan_model,
    wants_embedding,
    wants_generation,
)
from corral_server.errors import (
    CapabilityNotSupported,
    ModelFileInvalid,
    ModelFileNotFound,
    ModelLoadFailed,
)
from corral_server.ipc.messages import DeviceFootprint, Start
from corral_server.llama import library
from corral_server.llama.footprint import MEASURED_TOKENIZERS, Footprint, measure_context
from corral_server.llama.model import LlamaModel
from corral_server.llama.model_options import BlankVocabulary, ModelOptions
from corral_server.llama.process import give_back_memory, resident_bytes

_CANDIDATE_BYTES = 12  # llama.cpp: llama_token_data


def probe(files: ModelFiles, start: Start) -> tuple[Plan, tuple[DeviceFootprint, ...]]:
    """How the model will be loaded and what that takes, without loading it.

    Raises what is wrong with the model or the options, as far as that is seen without weights.
    """
    if start.options.chat_template is not None:
        ChatTemplate(start.options.chat_template, start_text="", end_text="")
    adapters = _adapter_bytes(start)
    footprint = Footprint()
    give_back_memory()
    before = resident_bytes()
    options = plan_model(start)
    with library.overhear() as log:
        model = LlamaModel.load(files.paths, lambda _: True, options.dry(_blank(files, footprint)))
    try:
        footprint.add_weights(log, files.tensor_bytes | adapters)
        # What else a model is made of is really there, and will be again.
        footprint.ram.compute += max(resident_bytes() - before, 0)
        plan = _plan(start, options, model, footprint)
        cache_bytes = sum(taken.cache for taken in footprint.devices.values())
        host_bytes = plan_host_cache(start, model, cache_bytes=cache_bytes)
        holds_all = footprint.ram.cache == cache_bytes <= host_bytes
        plan = replace(plan, host_cache_bytes=host_bytes, host_holds_all=holds_all)
        footprint.ram.compute += _sampling_bytes(plan, model)
        footprint.ram.cache += plan.host_cache_bytes
        return plan, _report(footprint)
    finally:
        model.close()
        give_back_memory()


def _blank(files: ModelFiles, footprint: Footprint) -> BlankVocabulary | None:
    """What stands for the vocabulary, which is taken in, where it is known what that takes."""
    header = files.first
    if header.tokenizer not in MEASURED_TOKENIZERS or header.vocab_size is None:
        return None
    footprint.add_vocabulary(tokens=header.vocab_size, merges=header.merge_count)
    return BlankVocabulary(header.architecture, header.vocab_size)


def _plan(start: Start, options: ModelOptions, model: LlamaModel, footprint: Footprint) -> Plan:
    """Adds what the contexts of the plan take to `footprint`.

    Raises CapabilityNotSupported if the model cannot do what it is to be loaded for.
    """
    generation = plan_generation(start, model) if wants_generation(start) else None
    # A context tells what kind of model this is; where none generates, the smallest there is.
    if generation is not None:
        kind = measure_context(model, generation, footprint)
    else:
        kind = measure_context(model, plan_generation(start, model, size=1), Footprint())
    if kind.has_cache and not model.can_generate:
        raise CapabilityNotSupported("encoder-decoder models are not supported")
    if wants_generation(start) and not kind.has_cache:
        raise CapabilityNotSupported(
            "the model is an encoder, which cannot continue text: load it with EMBED only"
        )
    in_parts = kind.is_causal and kind.has_cache
    embedding = plan_embedding(start, model, in_parts=in_parts)
    if wants_embedding(start):
        measure_context(model, embedding, footprint)
    longest = embedding.context_size if in_parts else embedding.batch_size
    return Plan(
        model=options,
        mode=start.mode,
        generation=generation,
        embedding=embedding if wants_embedding(start) else None,
        embedding_limit=min(longest, model.trained_context),
        pooling=start.options.pooling or model.own_pooling or Pooling.MEAN,
    )


def _adapter_bytes(start: Start) -> dict[str, int]:
    """The tensors of all adapters by name, which begins with that of the weights they change.

    Raises ModelLoadFailed for an adapter that is no file of the right format.
    """
    tensors: dict[str, int] = {}
    for number, adapter in enumerate(start.options.lora):
        try:
            header = read_header(Path(adapter.path))
        except (ModelFileNotFound, ModelFileInvalid) as error:
            raise ModelLoadFailed(f"an adapter cannot be loaded: {error.message}") from error
        tensors |= {f"{name}.{number}": size for name, size in header.tensor_bytes.items()}
    return tensors


def _sampling_bytes(plan: Plan, model: LlamaModel) -> int:
    """llama.cpp copies the whole vocabulary for each request that draws its tokens."""
    slots = plan.generation.slots if plan.generation else 0
    return slots * model.vocabulary.size * _CANDIDATE_BYTES


def _report(footprint: Footprint) -> tuple[DeviceFootprint, ...]:
    return tuple(
        DeviceFootprint(
            device=device,
            weights_bytes=taken.weights,
            cache_bytes=taken.cache,
            compute_bytes=taken.compute,
        )
        for device, taken in footprint.devices.items()
    )
