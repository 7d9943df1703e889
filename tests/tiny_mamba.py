"""Writes a tiny Mamba with random weights: a model that cannot drop a part of a sequence."""

from pathlib import Path

import gguf
import numpy as np

from tiny_gguf import CHAT_TEMPLATE, add_vocabulary, make_vocabulary, write

_EMBEDDING = 32
_INNER = 2 * _EMBEDDING
_STATE = 16
_CONVOLUTION = 4
_TIME_STEP = 2


def write_mamba(path: Path, *, seed: int = 0, layers: int = 2, context: int = 256) -> Path:
    """Writes it to `path` and returns that. The same arguments give the same bytes."""
    vocabulary = make_vocabulary()
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_name("tiny mamba")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(layers)
    writer.add_ssm_conv_kernel(_CONVOLUTION)
    writer.add_ssm_inner_size(_INNER)
    writer.add_ssm_state_size(_STATE)
    writer.add_ssm_time_step_rank(_TIME_STEP)
    writer.add_layer_norm_rms_eps(1e-5)
    add_vocabulary(writer, vocabulary)
    writer.add_chat_template(CHAT_TEMPLATE)
    random = np.random.default_rng(seed)

    def add(name: str, *shape: int, scale: float = 1.0) -> None:
        weights = random.standard_normal(shape, dtype=np.float32) / np.sqrt(shape[-1])
        writer.add_tensor(name, weights.astype(np.float32) * np.float32(scale))

    def fill(name: str, *shape: int, value: float) -> None:
        writer.add_tensor(name, np.full(shape, value, dtype=np.float32))

    add("token_embd.weight", len(vocabulary.tokens), _EMBEDDING)
    fill("output_norm.weight", _EMBEDDING, value=1.0)
    for layer in range(layers):
        block = f"blk.{layer}"
        fill(f"{block}.attn_norm.weight", _EMBEDDING, value=1.0)
        add(f"{block}.ssm_in.weight", 2 * _INNER, _EMBEDDING)
        add(f"{block}.ssm_conv1d.weight", _INNER, _CONVOLUTION)
        fill(f"{block}.ssm_conv1d.bias", _INNER, value=0.0)
        add(f"{block}.ssm_x.weight", _TIME_STEP + 2 * _STATE, _INNER)
        add(f"{block}.ssm_dt.weight", _INNER, _TIME_STEP)
        fill(f"{block}.ssm_dt.bias", _INNER, value=0.1)
        fill(f"{block}.ssm_a", _INNER, _STATE, value=-0.2)
        fill(f"{block}.ssm_d", _INNER, value=1.0)
        add(f"{block}.ssm_out.weight", _EMBEDDING, _INNER, scale=3.0)
    write(writer)
    return path
