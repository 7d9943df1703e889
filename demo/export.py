"""Writes the trained network, its tokenizer and its chat template as one GGUF file."""

import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType, TokenType
from torch import Tensor

from demo.model import DemoModel, ModelShape
from demo.template import TEMPLATE_PATH
from demo.tokenizer import CONTROL_TOKENS, END_OF_TEXT, IM_END, MARKUP_TOKENS

LAYER_TENSORS = (
    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output",
    "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
)  # fmt: skip


def export(path: Path, model: DemoModel, tokenizer_path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    _add_facts(writer, model.shape)
    _add_tokenizer(writer, tokenizer_path)
    writer.add_chat_template(TEMPLATE_PATH.read_text(encoding="utf-8"))
    _add_tensor(writer, "token_embd.weight", model.token_embd.weight)
    _add_tensor(writer, "output_norm.weight", model.output_norm.weight)
    weights = dict(model.named_parameters())
    for index in range(model.shape.num_layers):
        for name in LAYER_TENSORS:
            weight = weights[f"layers.{index}.{name}.weight"]
            _add_tensor(writer, f"blk.{index}.{name}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_facts(writer: gguf.GGUFWriter, shape: ModelShape) -> None:
    writer.add_name("Corral demo")
    writer.add_description("A tiny language model that Corral makes itself.")
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context_tokens)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.num_layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.num_heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.num_tokens)
    # The last token of a text has seen all of it: its vector tells texts apart best.
    writer.add_pooling_type(gguf.PoolingType.LAST)


def _add_tokenizer(writer: gguf.GGUFWriter, path: Path) -> None:
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    ids = dict(tokenizer["model"]["vocab"])
    ids |= {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    kinds = dict.fromkeys(CONTROL_TOKENS, TokenType.CONTROL)
    kinds |= dict.fromkeys(MARKUP_TOKENS, TokenType.USER_DEFINED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, TokenType.NORMAL) for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(ids[END_OF_TEXT])
    writer.add_eos_token_id(ids[IM_END])
    writer.add_pad_token_id(ids[END_OF_TEXT])
    writer.add_add_bos_token(False)


def _add_tensor(writer: gguf.GGUFWriter, name: str, weight: Tensor) -> None:
    """Matrices in blocks of eight bits, norms as they are."""
    values = weight.detach().numpy().astype(np.float32)
    if values.ndim == 1:
        writer.add_tensor(name, values)
        return
    quantized = gguf.quants.quantize(values, GGMLQuantizationType.Q8_0)
    writer.add_tensor(name, quantized, raw_dtype=GGMLQuantizationType.Q8_0)
