"""The tiny models again, in NumPy: what llama.cpp has to compute."""

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]


def read_weights(path: Path) -> Weights:
    """All tensors of an F32 file, rows first."""
    tensors = gguf.GGUFReader(path).tensors
    return {tensor.name: tensor.data.astype(np.float64) for tensor in tensors}


def llama_vectors(
    weights: Weights,
    tokens: Sequence[int],
    *,
    heads: int = 2,
    freq_base: float = 10000.0,
    freq_scale: float = 1.0,
) -> Array:
    """A llama's last hidden vectors, a row for each token."""
    x = weights["token_embd.weight"][list(tokens)]
    for layer in range(_layers(weights)):
        part = _layer(weights, layer)
        normed = _rms_norm(x, part["attn_norm.weight"])
        q = _rope(_split(normed @ part["attn_q.weight"].T, heads), freq_base, freq_scale)
        k = _rope(_split(normed @ part["attn_k.weight"].T, heads), freq_base, freq_scale)
        v = _split(normed @ part["attn_v.weight"].T, heads)
        x = x + _attend(q, k, v, causal=True) @ part["attn_output.weight"].T
        normed = _rms_norm(x, part["ffn_norm.weight"])
        gate = normed @ part["ffn_gate.weight"].T
        hidden = gate / (1 + np.exp(-gate)) * (normed @ part["ffn_up.weight"].T)
        x = x + hidden @ part["ffn_down.weight"].T
    return _rms_norm(x, weights["output_norm.weight"])


def llama_logits(weights: Weights, vectors: Array) -> Array:
    """Of a llama whose token table is its output too."""
    return vectors @ weights["token_embd.weight"].T


def bert_vectors(weights: Weights, tokens: Sequence[int], *, heads: int = 2) -> Array:
    """A BERT's last hidden vectors, a row for each token."""
    x = weights["token_embd.weight"][list(tokens)] + weights["token_types.weight"][0]
    x = _layer_norm(x + weights["position_embd.weight"][: len(tokens)], weights, "token_embd_norm")
    for layer in range(_layers(weights)):
        part = _layer(weights, layer)
        q, k, v = (_split(_linear(x, part, f"attn_{name}"), heads) for name in "qkv")
        attended = _linear(_attend(q, k, v, causal=False), part, "attn_output")
        x = _layer_norm(attended + x, part, "attn_output_norm")
        hidden = _gelu(_linear(x, part, "ffn_up"))
        x = _layer_norm(_linear(hidden, part, "ffn_down") + x, part, "layer_output_norm")
    return x


def cosine(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _layers(weights: Weights) -> int:
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blk."))


def _layer(weights: Weights, layer: int) -> Weights:
    prefix = f"blk.{layer}."
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}


def _linear(x: Array, part: Weights, name: str) -> Array:
    y: Array = x @ part[f"{name}.weight"].T + part[f"{name}.bias"]
    return y


def _rms_norm(x: Array, weight: Array) -> Array:
    y: Array = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) * weight
    return y


def _layer_norm(x: Array, part: Weights, name: str) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-12)
    y: Array = scaled * part[f"{name}.weight"] + part[f"{name}.bias"]
    return y


def _gelu(x: Array) -> Array:
    y: Array = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return y


def _split(x: Array, heads: int) -> Array:
    """(tokens, width) to (heads, tokens, head size)."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def _rope(x: Array, base: float, scale: float) -> Array:
    size = x.shape[-1]
    turns = base ** (-np.arange(0, size, 2) / size)
    angles = np.arange(x.shape[1])[:, None] * scale * turns
    cos, sin = np.cos(angles), np.sin(angles)
    turned = np.empty_like(x)
    turned[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    turned[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
    return turned


def _attend(q: Array, k: Array, v: Array, *, causal: bool) -> Array:
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    if causal:
        scores += np.triu(np.full(scores.shape[1:], -np.inf), 1)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed: Array = scores / scores.sum(axis=-1, keepdims=True) @ v
    return mixed.transpose(1, 0, 2).reshape(q.shape[1], -1)
