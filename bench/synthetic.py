"""Writes models of any size whose weights are noise: real shapes, real files, no meaning.

For measuring what depends on sizes only: memory, speed, time to load.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Dtype
from numpy.typing import NDArray

CONTEXT = 4096
BYTES = 0x100  # the first tokens of the vocabulary, one for each byte
_Q8_0_BLOCK = 32
# Rows of bytes and of the end token are this much shorter, so that no answer holds them: each of
# its tokens is a whole word.
_SILENT = 1 / 64
_FILE_TYPES = {
    Dtype.F16: gguf.LlamaFileType.MOSTLY_F16,
    Dtype.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
    Dtype.Q4_0: gguf.LlamaFileType.MOSTLY_Q4_0,
}
# Standard deviation of a weight, in units of 1 / sqrt(columns): noise is uniform in -2 .. 2.
_DEVIATION = 2 / math.sqrt(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of a model whose token table is its output too.

    `architecture`: llama, or qwen3, which also normalizes queries and keys. `logit_deviation`: how
    far logits spread. With v tokens their softmax turns from flat to peaked at sqrt(2 ln v), 4.9
    for 152 thousand; at twice that the likeliest token has 0.5 on average, as with a real model.
    """

    layers: int
    embedding: int
    heads: int
    kv_heads: int
    ff: int
    vocab: int
    head_size: int
    context: int = CONTEXT
    architecture: str = "llama"
    logit_deviation: float = _DEVIATION


def write_synthetic(
    path: Path,
    *,
    layers: int,
    embedding: int,
    heads: int,
    kv_heads: int,
    ff: int,
    vocab: int,
    dtype: Dtype = Dtype.F16,
    seed: int = 0,
) -> Path:
    """Writes a llama of noise to `path` and returns it. `dtype` is F16, Q8_0 or Q4_0."""
    sizes = Sizes(
        layers=layers,
        embedding=embedding,
        heads=heads,
        kv_heads=kv_heads,
        ff=ff,
        vocab=vocab,
        head_size=embedding // heads,
    )
    return write_sizes(path, sizes, dtype=dtype, seed=seed)


def write_sizes(path: Path, sizes: Sizes, *, dtype: Dtype, seed: int = 0) -> Path:
    """Writes a model of noise of these sizes to `path` and returns it."""
    writer = gguf.GGUFWriter(path, sizes.architecture)
    writer.add_name("synthetic")
    writer.add_file_type(_FILE_TYPES[dtype])
    _add_sizes(writer, sizes)
    _add_vocabulary(writer, sizes.vocab)
    random = np.random.default_rng(seed)
    for name, rows, columns in _matrices(sizes):
        weights = _noise(random, rows, columns, dtype)
        if name == "token_embd.weight":
            _silence(weights, dtype)
        writer.add_tensor(name, weights, raw_dtype=dtype)
    for name, length, weight in _norms(sizes):
        writer.add_tensor(name, np.full(length, weight, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_sizes(writer: gguf.GGUFWriter, sizes: Sizes) -> None:
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.embedding)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.ff)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.kv_heads)
    writer.add_key_length(sizes.head_size)
    writer.add_value_length(sizes.head_size)
    writer.add_layer_norm_rms_eps(1e-5)


def _add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """Bytes, words that no text has, and an end token."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    symbols = [chr(byte if byte in printable else next(others)) for byte in range(BYTES)]
    words = [f"word{number}" for number in range(size - len(symbols) - 1)]
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*symbols, *words, "<|end|>"])
    writer.add_token_types([normal] * (size - 1) + [control])
    writer.add_token_merges([f"{symbols[97]} {symbols[98]}"])
    writer.add_eos_token_id(size - 1)


def _matrices(sizes: Sizes) -> Iterator[tuple[str, int, int]]:
    """Name, rows and columns of each."""
    width = sizes.embedding
    q_width, kv_width = sizes.heads * sizes.head_size, sizes.kv_heads * sizes.head_size
    yield "token_embd.weight", sizes.vocab, width
    for layer in range(sizes.layers):
        yield f"blk.{layer}.attn_q.weight", q_width, width
        yield f"blk.{layer}.attn_k.weight", kv_width, width
        yield f"blk.{layer}.attn_v.weight", kv_width, width
        yield f"blk.{layer}.attn_output.weight", width, q_width
        yield f"blk.{layer}.ffn_gate.weight", sizes.ff, width
        yield f"blk.{layer}.ffn_up.weight", sizes.ff, width
        yield f"blk.{layer}.ffn_down.weight", width, sizes.ff


def _norms(sizes: Sizes) -> Iterator[tuple[str, int, float]]:
    """Name, length and weight of each. The last one decides how far logits spread."""
    yield "output_norm.weight", sizes.embedding, sizes.logit_deviation / _DEVIATION
    for layer in range(sizes.layers):
        yield f"blk.{layer}.attn_norm.weight", sizes.embedding, 1
        yield f"blk.{layer}.ffn_norm.weight", sizes.embedding, 1
        if sizes.architecture == "qwen3":
            yield f"blk.{layer}.attn_q_norm.weight", sizes.head_size, 1
            yield f"blk.{layer}.attn_k_norm.weight", sizes.head_size, 1


def _noise(random: np.random.Generator, rows: int, columns: int, dtype: Dtype) -> NDArray[np.uint8]:
    """Weights as the file stores them, of about the size that keeps a vector's length."""
    scale = 1 / np.sqrt(columns)
    if dtype is Dtype.F16:
        # Twelve bits of noise are plenty, and a quarter of the work of a normal distribution.
        noise = random.integers(-2048, 2048, (rows, columns), dtype=np.int16)
        weights = (noise.astype(np.float32) * np.float32(scale / 1024)).astype(np.float16)
        return weights.view(np.uint8)
    _, block_bytes = gguf.GGML_QUANT_SIZES[dtype]
    blocks = random.integers(0, 256, (rows, columns // _Q8_0_BLOCK, block_bytes), dtype=np.uint8)
    levels = 64 if dtype is Dtype.Q8_0 else 4
    blocks[:, :, :2] = np.array([scale / levels], dtype=np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


def _silence(table: NDArray[np.uint8], dtype: Dtype) -> None:
    """Shortens the rows of the token table, in place, that no answer shall hold."""
    if dtype is Dtype.F16:
        scales = table.view(np.float16)
    else:
        _, block_bytes = gguf.GGML_QUANT_SIZES[dtype]
        blocks = table.reshape(len(table), -1, block_bytes)
        scales = blocks[:, :, :2].view(np.float16)
    scales[:BYTES] *= np.float16(_SILENT)
    scales[-1] *= np.float16(_SILENT)
