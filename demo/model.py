"""The network: a Llama-family decoder in plain PyTorch, laid out as llama.cpp computes it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The defaults fill the 4 MiB that the file may weigh; widths are multiples of 32, for Q8_0."""

    num_tokens: int = 1536
    context_tokens: int = 2048
    width: int = 256
    num_layers: int = 5
    num_heads: int = 4
    num_kv_heads: int = 2
    feed_forward: int = 608
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.num_heads


class DemoModel(nn.Module):
    """The embedding also serves as the output matrix."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.num_tokens, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_layers))
        self.output_norm = nn.RMSNorm(shape.width, shape.norm_epsilon)
        residual_scale = (2 * shape.num_layers) ** -0.5
        nn.init.normal_(self.token_embd.weight, std=0.02)
        for name, weight in self.named_parameters():
            if weight.ndim == 2 and name != "token_embd.weight":
                is_residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
                scale = weight.shape[1] ** -0.5 * (residual_scale if is_residual else 1.0)
                nn.init.normal_(weight, std=scale)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """Hidden states of rows of packed documents; a token sees its own segment only."""
        length = tokens.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        visible = (causal & (segments[:, :, None] == segments[:, None, :]))[:, None]
        rotation = rotation_table(self.shape, length)
        hidden = self.token_embd(tokens)
        for layer in self.layers:
            hidden = layer(hidden, visible, rotation)
        normed: Tensor = self.output_norm(hidden)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.token_embd.weight)


class Layer(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        kv_width = shape.num_kv_heads * shape.head_width
        self.attn_norm = nn.RMSNorm(shape.width, shape.norm_epsilon)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, kv_width, bias=False)
        self.attn_v = nn.Linear(shape.width, kv_width, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, shape.norm_epsilon)
        self.ffn_gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, hidden: Tensor, visible: Tensor, rotation: Tensor) -> Tensor:
        inner = self.attn_norm(hidden)
        group = self.shape.num_heads // self.shape.num_kv_heads
        query = rotate(self._heads(self.attn_q(inner)), rotation)
        key = rotate(self._heads(self.attn_k(inner)), rotation).repeat_interleave(group, 1)
        value = self._heads(self.attn_v(inner)).repeat_interleave(group, 1)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        hidden = hidden + self.attn_output(mixed.transpose(1, 2).flatten(2))
        inner = self.ffn_norm(hidden)
        gated = functional.silu(self.ffn_gate(inner)) * self.ffn_up(inner)
        total: Tensor = hidden + self.ffn_down(gated)
        return total

    def _heads(self, flat: Tensor) -> Tensor:
        rows, length, width = flat.shape
        count = width // self.shape.head_width
        return flat.view(rows, length, count, self.shape.head_width).transpose(1, 2)


def rotation_table(shape: ModelShape, length: int) -> Tensor:
    """Cosines and sines, one pair for each position and each pair of dimensions."""
    exponent = torch.arange(0, shape.head_width, 2) / shape.head_width
    angle = torch.arange(length)[:, None] * shape.rope_base**-exponent
    return torch.stack((angle.cos(), angle.sin()))


def rotate(heads: Tensor, rotation: Tensor) -> Tensor:
    """Rotary positions on neighbouring pairs: the order of llama.cpp's `llama` architecture."""
    cosine, sine = rotation.to(heads.dtype)
    even, odd = heads[..., 0::2], heads[..., 1::2]
    turned = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1)
    return turned.flatten(3)
