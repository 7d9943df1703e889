"""Every option of a load reaches llama.cpp, and what it would die on is refused before."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from corral_server.config import (
    CacheType,
    FlashAttention,
    RopeScaling,
    RopeScalingType,
    SplitMode,
)
from corral_server.errors import InvalidFields, ModelLoadFailed
from corral_server.llama import library
from corral_server.llama.adapter import LlamaAdapter
from corral_server.llama.batch import LlamaBatch
from corral_server.llama.context import ContextOptions, LlamaContext
from corral_server.llama.model import LlamaModel
from corral_server.llama.model_options import BlankVocabulary, ModelOptions
from numpy_models import Array, llama_logits, llama_vectors, read_weights
from tiny_gguf import make_vocabulary, write_llama, write_model_that_fails_to_load
from tiny_llama import start_llama
from tiny_lora import random_pair, write_lora

TOKENS = [40, 90, 12, 77, 200, 31, 5, 66]
HEADS = 2


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads of 32 numbers, which any cache type can hold."""
    return write_llama(tmp_path_factory.mktemp("options") / "wide.gguf", embedding=64, heads=HEADS)


@pytest.fixture(scope="module")
def wide(path: Path) -> Iterator[LlamaModel]:
    with_options = load(path)
    yield with_options
    with_options.close()


def load(path: Path, options: ModelOptions | None = None) -> LlamaModel:
    start_llama()
    return LlamaModel.load([path], lambda _: True, options or ModelOptions())


def options_of(**changed: object) -> ContextOptions:
    sizes = {"context_size": 256, "slots": 2, "batch_size": 64, "threads": 1}
    return ContextOptions(**(sizes | changed))  # type: ignore[arg-type]


def logits(
    model: LlamaModel, options: ContextOptions, adapters: Sequence[LlamaAdapter] = ()
) -> Array:
    """The logits behind the last of TOKENS."""
    context = LlamaContext(model, options, adapters)
    rows = LlamaBatch(len(TOKENS))
    rows.add(TOKENS, position=0, sequence=0, wanted=True)
    context.decode(rows)
    row: Array = context.logits(1)[0].astype(np.float64)
    context.close()
    return row


def lines(model: LlamaModel, options: ContextOptions) -> str:
    """What llama.cpp says while it makes a context."""
    with library.overhear() as log:
        LlamaContext(model, options).close()
    return "\n".join(log)


# Contexts


def test_llama_cpp_computes_what_numpy_computes(path: Path, wide: LlamaModel) -> None:
    weights = read_weights(path)
    expected = llama_logits(weights, llama_vectors(weights, TOKENS, heads=HEADS))[-1]
    assert np.abs(logits(wide, options_of()) - expected).max() < 0.05


@pytest.mark.parametrize("type", list(CacheType))
def test_the_cache_is_of_the_type_asked_for(wide: LlamaModel, type: CacheType) -> None:
    said = lines(wide, options_of(cache_type_k=type, cache_type_v=type))
    assert f"K ({type.value})" in said
    assert f"V ({type.value})" in said
    row = logits(wide, options_of(cache_type_k=type, cache_type_v=type))
    assert np.isfinite(row).all()


@pytest.mark.parametrize("key", list(CacheType))
@pytest.mark.parametrize("value", list(CacheType))
def test_any_two_types_go_together(wide: LlamaModel, key: CacheType, value: CacheType) -> None:
    assert np.isfinite(logits(wide, options_of(cache_type_k=key, cache_type_v=value))).all()


def test_quantized_values_without_flash_attention_are_refused(wide: LlamaModel) -> None:
    options = options_of(cache_type_v=CacheType.Q8_0, flash_attention=FlashAttention.OFF)
    with pytest.raises(InvalidFields, match=r"options\.cache_type_v: q8_0 needs flash attention"):
        LlamaContext(wide, options)


@pytest.mark.parametrize("field", ["cache_type_k", "cache_type_v"])
@pytest.mark.parametrize("flash_attention", [FlashAttention.AUTO, FlashAttention.OFF])
def test_blocks_that_heads_do_not_fill_are_refused(
    model: LlamaModel, field: str, flash_attention: FlashAttention
) -> None:
    options = options_of(**{field: CacheType.Q4_0}, flash_attention=flash_attention)
    with pytest.raises(InvalidFields, match=rf"options\.{field}: q4_0 packs 32 .* heads of 16"):
        LlamaContext(model, options)


@pytest.mark.parametrize(
    ("asked", "said"),
    [(FlashAttention.AUTO, "auto"), (FlashAttention.ON, "enabled"), (FlashAttention.OFF, "disab")],
)
def test_flash_attention_is_as_asked_for(
    wide: LlamaModel, asked: FlashAttention, said: str
) -> None:
    assert f"flash_attn            = {said}" in lines(wide, options_of(flash_attention=asked))


def test_batches_are_computed_in_parts_of_the_ubatch(wide: LlamaModel) -> None:
    options = options_of(ubatch_size=4)
    assert "n_ubatch              = 4" in lines(wide, options)
    assert np.abs(logits(wide, options) - logits(wide, options_of())).max() < 0.05


@pytest.mark.parametrize(
    "rope",
    [
        RopeScaling(freq_base=20.0),
        RopeScaling(freq_scale=0.25),
        RopeScaling(type=RopeScalingType.LINEAR, freq_base=2000.0, freq_scale=0.5),
    ],
)
def test_positions_are_scaled(path: Path, wide: LlamaModel, rope: RopeScaling) -> None:
    weights = read_weights(path)
    vectors = llama_vectors(
        weights,
        TOKENS,
        heads=HEADS,
        freq_base=rope.freq_base or 10000.0,
        freq_scale=rope.freq_scale or 1.0,
    )
    expected = llama_logits(weights, vectors)[-1]
    row = logits(wide, options_of(rope=rope))
    assert np.abs(row - expected).max() < 0.05
    assert np.abs(row - logits(wide, options_of())).max() > 0.2


def test_yarn_is_not_linear(wide: LlamaModel) -> None:
    yarn = RopeScaling(type=RopeScalingType.YARN, freq_scale=0.25, yarn_original_context=64)
    linear = RopeScaling(type=RopeScalingType.LINEAR, freq_scale=0.25)
    apart = logits(wide, options_of(rope=yarn)) - logits(wide, options_of(rope=linear))
    assert np.abs(apart).max() > 0.01


# Models


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        (ModelOptions(), "mmap"),
        (ModelOptions(use_mmap=False), "none"),
        (ModelOptions(use_mlock=True), "mmap+mlock"),
        (ModelOptions(use_mmap=False, use_mlock=True), "mlock"),
    ],
)
def test_the_file_is_mapped_or_read_and_locked_or_not(
    path: Path, wide: LlamaModel, options: ModelOptions, mode: str
) -> None:
    with library.overhear() as log:
        model = load(path, options)
    assert f"load_mode = {mode}" in "\n".join(log)
    assert np.abs(logits(model, options_of()) - logits(wide, options_of())).max() < 1e-4
    model.close()


@pytest.mark.parametrize("split_mode", list(SplitMode))
def test_options_for_gpus_do_no_harm_where_there_are_none(
    path: Path, split_mode: SplitMode
) -> None:
    options = ModelOptions(gpu_layers=1, split_mode=split_mode, tensor_split=(1.0, 3.0), main_gpu=0)
    load(path, options).close()


def test_an_unknown_device_is_named_beside_the_known(path: Path) -> None:
    with pytest.raises(InvalidFields, match=r"options\.devices: 'CUDA9' is no GPU here; "):
        load(path, ModelOptions(devices=("CUDA9",)))


def test_more_parts_than_devices_are_possible_are_refused(path: Path) -> None:
    with pytest.raises(InvalidFields, match=r"options\.tensor_split: has 100 parts"):
        load(path, ModelOptions(tensor_split=(1.0,) * 100))


def test_a_dry_load_knows_sizes_but_has_no_weights(path: Path) -> None:
    num_tokens = len(make_vocabulary().tokens)
    model = load(path, ModelOptions().dry(BlankVocabulary("llama", num_tokens)))
    assert model.vocabulary.size == num_tokens
    assert model.weight_bytes == sum(tensor.nbytes for tensor in read_weights(path).values()) // 2
    model.close()


# Adapters


def adapter_file(folder: Path, **changed: object) -> Path:
    pair = random_pair(64, 64)
    return write_lora(folder / "adapter.gguf", {"blk.1.attn_output.weight": pair}, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1.0, -0.5, 3.0])
def test_an_adapter_is_added_to_the_weights(path: Path, tmp_path: Path, scale: float) -> None:
    model = load(path)
    adapter = LlamaAdapter.load(model, adapter_file(tmp_path, alpha=8.0), scale)
    weights = read_weights(path)
    a, b = random_pair(64, 64)
    weights["blk.1.attn_output.weight"] += scale * 8.0 / len(a) * (b @ a)
    expected = llama_logits(weights, llama_vectors(weights, TOKENS, heads=HEADS))[-1]
    row = logits(model, options_of(), [adapter])
    assert np.abs(row - expected).max() < 0.05
    assert np.abs(row - logits(model, options_of())).max() > 0.2
    model.close()


def test_an_adapter_of_scale_0_changes_nothing(path: Path, tmp_path: Path) -> None:
    model = load(path)
    adapter = LlamaAdapter.load(model, adapter_file(tmp_path), 0.0)
    apart = logits(model, options_of(), [adapter]) - logits(model, options_of())
    assert np.abs(apart).max() < 1e-5
    model.close()


def other_architecture(folder: Path) -> Path:
    return adapter_file(folder, architecture="bert")


def other_shape(folder: Path) -> Path:
    pair = random_pair(32, 64)
    return write_lora(folder / "adapter.gguf", {"blk.0.attn_q.weight": pair})


def other_layers(folder: Path) -> Path:
    pair = random_pair(64, 64)
    return write_lora(folder / "adapter.gguf", {"blk.9.attn_q.weight": pair})


def no_adapter(folder: Path) -> Path:
    return write_model_that_fails_to_load(folder / "adapter.gguf")


def no_file(folder: Path) -> Path:
    return folder / "none.gguf"


@pytest.mark.parametrize(
    "make", [other_architecture, other_shape, other_layers, no_adapter, no_file]
)
def test_a_foreign_adapter_is_refused(path: Path, tmp_path: Path, make: object) -> None:
    model = load(path)
    assert callable(make)
    file = make(tmp_path)
    with pytest.raises(ModelLoadFailed, match=rf"the adapter {file.name} does not fit"):
        LlamaAdapter.load(model, file, 1.0)
    model.close()
