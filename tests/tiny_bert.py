"""Writes a tiny BERT with random weights whose words are letters and a few more."""

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(len(SPECIAL))
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?"
WORDS = ("hello", "world", "the", "and")
CONTEXT = 64


def write_bert(
    path: Path,
    *,
    seed: int = 0,
    layers: int = 2,
    embedding: int = 32,
    heads: int = 2,
    ff: int = 64,
    pooling: gguf.PoolingType | None = gguf.PoolingType.CLS,
) -> Path:
    """The same arguments give the same bytes."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("tiny bert")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(embedding)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ff)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    tokens = _add_vocabulary(writer)
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> npt.NDArray[np.float32]:
        weights = random.standard_normal((rows, columns), dtype=np.float32)
        return weights * np.float32(scale / np.sqrt(columns))

    def add(name: str, rows: int, columns: int) -> None:
        writer.add_tensor(f"{name}.weight", matrix(rows, columns, 2.0))
        writer.add_tensor(f"{name}.bias", matrix(1, rows)[0])

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", 1 + matrix(1, embedding)[0])
        writer.add_tensor(f"{name}.bias", matrix(1, embedding)[0])

    writer.add_tensor("token_embd.weight", matrix(tokens, embedding))
    writer.add_tensor("token_types.weight", matrix(2, embedding))
    writer.add_tensor("position_embd.weight", matrix(CONTEXT, embedding))
    add_norm("token_embd_norm")
    for layer in range(layers):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}", embedding, embedding)
        add_norm(f"blk.{layer}.attn_output_norm")
        add(f"blk.{layer}.ffn_up", ff, embedding)
        add(f"blk.{layer}.ffn_down", embedding, ff)
        add_norm(f"blk.{layer}.layer_output_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter) -> int:
    """Returns its size. A token that begins a word is written with a bar before it."""
    starts = [f"\u2581{text}" for text in (*LETTERS, *WORDS)]
    tokens = [*SPECIAL, *starts, *LETTERS]
    types = [gguf.TokenType.CONTROL] * len(SPECIAL)
    types += [gguf.TokenType.NORMAL] * (len(tokens) - len(SPECIAL))
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_type_count(2)
    writer.add_pad_token_id(PAD)
    writer.add_unk_token_id(UNK)
    writer.add_bos_token_id(CLS)
    writer.add_eos_token_id(SEP)
    writer.add_sep_token_id(SEP)
    writer.add_mask_token_id(MASK)
    return len(tokens)
