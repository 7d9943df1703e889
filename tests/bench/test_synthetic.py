"""Models of noise answer like models: peaked, and never with a byte or an end."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Dtype
from gguf import GGUFReader
from gguf.quants import dequantize

from bench.synthetic import BYTES, Sizes, write_sizes

SIZES = Sizes(
    layers=1,
    embedding=64,
    heads=2,
    kv_heads=1,
    head_size=32,
    ff=96,
    vocab=1000,
    architecture="qwen3",
    logit_deviation=10.0,
)


@pytest.mark.parametrize("dtype", [Dtype.F16, Dtype.Q8_0])
def test_logits_spread_as_far_as_was_asked(tmp_path: Path, dtype: Dtype) -> None:
    file = GGUFReader(write_sizes(tmp_path / "m.gguf", SIZES, dtype=dtype))
    tensors = {tensor.name: tensor for tensor in file.tensors}
    table = dequantize(tensors["token_embd.weight"].data, dtype)
    norm = tensors["output_norm.weight"].data
    hidden = np.random.default_rng(0).standard_normal((200, SIZES.embedding))
    logits = (hidden * norm) @ table.T
    assert logits[:, BYTES:-1].std() == pytest.approx(10, rel=0.03)
    assert abs(logits[:, :BYTES]).max() < 1
    assert abs(logits[:, -1]).max() < 1
