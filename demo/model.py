"""The network: a Llama-family decoder in plain JAX, laid out as llama.cpp computes it.

Layers are stacked along the first axis of every weight, so that one `scan` runs them all and the
optimizer sees each kind of matrix once.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

Params = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    num_tokens: int
    context_tokens: int = 2048
    width: int = 192
    num_layers: int = 6
    num_heads: int = 6
    num_kv_heads: int = 2
    feed_forward: int = 512
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.num_heads


def init_params(key: Array, shape: ModelShape) -> Params:
    """Weights are stored (layer, in, out); the embedding also serves as the output matrix."""
    kv_width = shape.num_kv_heads * shape.head_width
    sizes = {
        "attn_q": (shape.width, shape.width),
        "attn_k": (shape.width, kv_width),
        "attn_v": (shape.width, kv_width),
        "attn_output": (shape.width, shape.width),
        "ffn_gate": (shape.width, shape.feed_forward),
        "ffn_up": (shape.width, shape.feed_forward),
        "ffn_down": (shape.feed_forward, shape.width),
    }
    keys = jax.random.split(key, len(sizes) + 1)
    layers: Params = {
        "attn_norm": jnp.ones((shape.num_layers, shape.width)),
        "ffn_norm": jnp.ones((shape.num_layers, shape.width)),
    }
    residual = (2 * shape.num_layers) ** -0.5
    for subkey, (name, size) in zip(keys[1:], sizes.items(), strict=True):
        scale = size[0] ** -0.5 * (residual if name in ("attn_output", "ffn_down") else 1.0)
        layers[name] = scale * jax.random.normal(subkey, (shape.num_layers, *size))
    return {
        "token_embd": 0.02 * jax.random.normal(keys[0], (shape.num_tokens, shape.width)),
        "layers": layers,
        "output_norm": jnp.ones(shape.width),
    }


def forward(
    params: Params, shape: ModelShape, tokens: Array, segments: Array, dtype: Any = jnp.float32
) -> Array:
    """Logits for rows of packed documents. A token sees earlier tokens of its own segment only."""
    rows, length = tokens.shape
    order = jnp.arange(length)
    visible = (order[:, None] >= order[None, :]) & (segments[:, :, None] == segments[:, None, :])
    bias = jnp.where(visible, 0.0, -1e9)[:, None, None]
    rotation = _rotation(shape, length)
    group = shape.num_heads // shape.num_kv_heads

    def layer(hidden: Array, weights: Params) -> tuple[Array, None]:
        weights = {name: weight.astype(dtype) for name, weight in weights.items()}
        inner = _norm(hidden, weights["attn_norm"], shape.norm_epsilon)
        heads = (rows, length, shape.num_kv_heads, group, shape.head_width)
        query = _rotate((inner @ weights["attn_q"]).reshape(heads), rotation)
        key = _rotate((inner @ weights["attn_k"]).reshape(*heads[:3], 1, -1), rotation)[:, :, :, 0]
        value = (inner @ weights["attn_v"]).reshape(*heads[:3], -1)
        scores = jnp.einsum("btkgd,bskd->bkgts", query, key) * shape.head_width**-0.5
        share = jax.nn.softmax(scores.astype(jnp.float32) + bias, axis=-1).astype(dtype)
        mixed = jnp.einsum("bkgts,bskd->btkgd", share, value).reshape(rows, length, shape.width)
        hidden = hidden + mixed @ weights["attn_output"]
        inner = _norm(hidden, weights["ffn_norm"], shape.norm_epsilon)
        gated = jax.nn.silu(inner @ weights["ffn_gate"]) * (inner @ weights["ffn_up"])
        return hidden + gated @ weights["ffn_down"], None

    hidden = params["token_embd"].astype(dtype)[tokens]
    hidden, _ = jax.lax.scan(layer, hidden, params["layers"])
    hidden = _norm(hidden, params["output_norm"].astype(dtype), shape.norm_epsilon)
    return (hidden @ params["token_embd"].astype(dtype).T).astype(jnp.float32)


def _norm(hidden: Array, weight: Array, epsilon: float) -> Array:
    wide = hidden.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + epsilon)
    return (wide * scale).astype(hidden.dtype) * weight


def _rotation(shape: ModelShape, length: int) -> tuple[Array, Array]:
    exponent = jnp.arange(0, shape.head_width, 2) / shape.head_width
    angle = jnp.arange(length)[:, None] * shape.rope_base**-exponent
    return jnp.cos(angle)[:, None, None], jnp.sin(angle)[:, None, None]


def _rotate(heads: Array, rotation: tuple[Array, Array]) -> Array:
    """Rotary positions on neighbouring pairs: the order of llama.cpp's `llama` architecture."""
    cosine, sine = rotation
    even, odd = heads[..., 0::2], heads[..., 1::2]
    turned = jnp.stack((even * cosine - odd * sine, even * sine + odd * cosine), axis=-1)
    return turned.reshape(heads.shape).astype(heads.dtype)
