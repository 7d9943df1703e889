"""Writes tiny models with random weights that really load in llama.cpp, whole, split or spoiled.

The tokenizer is byte-level: every text has tokens, and common words have one. Control tokens get
output rows so small that a model hardly ever ends on its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Dtype
from numpy.typing import NDArray

Weights = NDArray[np.float32]
Tokenizer = Literal["gpt2", "t5"]
AbortPoint = Literal["load", "context", "decode"]

WORDS = ("the", "and", "ing", "Hello", "world", "one", " the", " and", " of", " world", "é", "日")
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
BOS_TOKEN = "<|endoftext|>"
EOS_TOKEN = "<|im_end|>"
FILE_TYPES = {
    Dtype.F32: gguf.LlamaFileType.ALL_F32,
    Dtype.F16: gguf.LlamaFileType.MOSTLY_F16,
    Dtype.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
}
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens as the file stores them: bytes as printable symbols, control tokens as they are."""

    normal: tuple[str, ...]
    merges: tuple[str, ...]
    control: tuple[str, ...]
    padding: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.normal + self.control + self.padding

    @property
    def types(self) -> list[gguf.TokenType]:
        return (
            [gguf.TokenType.NORMAL] * len(self.normal)
            + [gguf.TokenType.CONTROL] * len(self.control)
            + [gguf.TokenType.UNUSED] * len(self.padding)
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a llama. The head size is `embedding // heads`."""

    layers: int
    embedding: int
    heads: int
    kv_heads: int
    ff: int
    context: int

    @property
    def kv_width(self) -> int:
        return self.embedding // self.heads * self.kv_heads


def write_llama(
    path: Path,
    *,
    seed: int = 0,
    vocab: int = 0,
    layers: int = 2,
    embedding: int = 32,
    heads: int = 2,
    kv_heads: int | None = None,
    ff: int = 64,
    context: int = 256,
    dtype: Dtype = Dtype.F32,
    norm_dtype: Dtype = Dtype.F32,
    tied: bool = True,
    peaked: float = 1.0,
    chat_template: str | None = CHAT_TEMPLATE,
    extra_tokens: Sequence[str] = (),
    normal_tokens: Sequence[str] = (),
    end_of_message: str | None = None,
    words: Sequence[str] = WORDS,
    tokenizer: Tokenizer = "gpt2",
    max_tensors_per_file: int = 0,
) -> Path:
    """Write a random llama to `path` and return it. The same arguments give the same bytes.

    The vocabulary is padded with unused tokens up to `vocab`; `extra_tokens` are control tokens,
    `normal_tokens` are stated to be none, and `end_of_message` is one of them all. Each of `words`
    becomes a token, as do its beginnings.
    `peaked` multiplies the logits. Q8_0 needs `embedding` and `ff` to be multiples of 32.
    """
    shape = Shape(layers, embedding, heads, heads if kv_heads is None else kv_heads, ff, context)
    vocabulary = make_vocabulary(vocab, extra_tokens, normal_tokens, words)
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=max_tensors_per_file)
    writer.add_name("tiny")
    writer.add_file_type(FILE_TYPES[dtype])
    _add_shape(writer, shape)
    add_vocabulary(writer, vocabulary, tokenizer)
    if end_of_message is not None:
        writer.add_eom_token_id(vocabulary.tokens.index(end_of_message))
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    random = np.random.default_rng(seed)
    for name, weights in _make_weights(random, shape, vocabulary, tied, peaked):
        tensor_dtype = norm_dtype if weights.ndim == 1 else dtype
        quantized = gguf.quants.quantize(weights, tensor_dtype)
        writer.add_tensor(name, quantized, raw_dtype=tensor_dtype)
    write(writer)
    return path


def write_split(directory: Path, shards: int = 3, *, seed: int = 0) -> tuple[Path, ...]:
    """The default model as `tiny-00001-of-0000N.gguf` and so on; returns the shards in order."""
    num_tensors = 2 + 9 * 2  # two layers
    write_llama(directory / "tiny.gguf", seed=seed, max_tensors_per_file=-(-num_tensors // shards))
    written = tuple(sorted(directory.glob(f"tiny-?????-of-{shards:05}.gguf")))
    assert len(written) == shards, f"{num_tensors} tensors do not make {shards} even shards"
    return written


def write_model_that_aborts(path: Path, at: AbortPoint = "load") -> Path:
    """A file with a sound header that makes llama.cpp end the process: on `load`, on `context`
    creation or on the first `decode`."""
    match at:
        case "load":  # two tokens of one text
            return write_llama(path, extra_tokens=["a"])
        case "context":  # three heads cannot share two
            return write_llama(path, embedding=48, heads=3, kv_heads=2)
        case "decode":  # the CPU has no product of F32 and F16
            return write_llama(path, norm_dtype=Dtype.F16)


def write_model_that_fails_to_load(path: Path) -> Path:
    """A file with a sound header that llama.cpp refuses in good order: no such architecture."""
    writer = gguf.GGUFWriter(path, "unheard-of")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
    write(writer)
    return path


def make_vocabulary(
    at_least: int = 0,
    extra_control: Sequence[str] = (),
    extra_normal: Sequence[str] = (),
    words: Sequence[str] = WORDS,
) -> Vocabulary:
    """The 256 bytes, the merges that lead to `words`, the control tokens, then padding."""
    symbols = byte_symbols()
    normal, merges = dict.fromkeys(symbols), dict[str, None]()
    for word in words:
        left, *rest = [symbols[byte] for byte in word.encode()]
        for right in rest:
            merges[f"{left} {right}"] = None
            left += right
            normal[left] = None
    normal |= dict.fromkeys(extra_normal)
    control = (*CONTROL_TOKENS, *extra_control)
    num_padding = at_least - len(normal) - len(control)
    padding = tuple(f"[PAD{number}]" for number in range(num_padding))
    return Vocabulary(tuple(normal), tuple(merges), control, padding)


def byte_symbols() -> list[str]:
    """GPT-2's printable character for each byte: itself, or one from 256 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(0x100)]


def _add_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)


def add_vocabulary(
    writer: gguf.GGUFWriter, vocabulary: Vocabulary, tokenizer: Tokenizer = "gpt2"
) -> None:
    """With merges of byte pairs (gpt2), or with scores, for a unigram tokenizer (t5)."""
    writer.add_tokenizer_model(tokenizer)
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(vocabulary.types)
    if tokenizer == "gpt2":
        writer.add_token_merges(list(vocabulary.merges))
    else:
        writer.add_token_scores([0.0] * len(vocabulary.tokens))
    writer.add_bos_token_id(vocabulary.tokens.index(BOS_TOKEN))
    writer.add_eos_token_id(vocabulary.tokens.index(EOS_TOKEN))
    writer.add_add_bos_token(False)


def _make_weights(
    random: np.random.Generator, shape: Shape, vocabulary: Vocabulary, tied: bool, peaked: float
) -> Iterator[tuple[str, Weights]]:
    yield "token_embd.weight", _make_token_rows(random, shape, vocabulary)
    if not tied:
        yield "output.weight", _make_token_rows(random, shape, vocabulary)
    yield "output_norm.weight", np.full(shape.embedding, peaked, dtype=np.float32)
    for layer in range(shape.layers):
        for name, weights in _make_layer(random, shape):
            yield f"blk.{layer}.{name}.weight", weights


def _make_token_rows(random: np.random.Generator, shape: Shape, vocabulary: Vocabulary) -> Weights:
    rows = _make_matrix(random, len(vocabulary.tokens), shape.embedding)
    rows[len(vocabulary.normal) :] *= 0.01
    return rows


def _make_layer(random: np.random.Generator, shape: Shape) -> Iterator[tuple[str, Weights]]:
    yield "attn_norm", np.ones(shape.embedding, dtype=np.float32)
    # Sharp attention and strong layers: without them greedy decoding repeats one token for ever.
    yield "attn_q", 4 * _make_matrix(random, shape.embedding, shape.embedding)
    yield "attn_k", 4 * _make_matrix(random, shape.kv_width, shape.embedding)
    yield "attn_v", _make_matrix(random, shape.kv_width, shape.embedding)
    yield "attn_output", 2 * _make_matrix(random, shape.embedding, shape.embedding)
    yield "ffn_norm", np.ones(shape.embedding, dtype=np.float32)
    yield "ffn_gate", _make_matrix(random, shape.ff, shape.embedding)
    yield "ffn_up", _make_matrix(random, shape.ff, shape.embedding)
    yield "ffn_down", 2 * _make_matrix(random, shape.embedding, shape.ff)


def _make_matrix(random: np.random.Generator, rows: int, columns: int) -> Weights:
    """Scaled so that a vector keeps its length: tokens and layers then weigh alike."""
    scale = np.float32(1 / np.sqrt(columns))
    return random.standard_normal((rows, columns), dtype=np.float32) * scale


def write(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
