"""How a context is made, in llama.cpp's terms."""

from dataclasses import dataclass

from llama_cpp import llama_cpp as c

from corral_server.config import CacheType, FlashAttention, RopeScaling, RopeScalingType
from corral_server.errors import FieldViolation, InvalidFields
from corral_server.llama.headless import stop_at_vectors
from corral_server.llama.model import LlamaModel

# Elements of a block, by type: they share a scale, so a head's numbers must fill whole blocks.
_QUANTIZED_BLOCK = 32
_CACHE_TYPES = {
    CacheType.F32: c.GGML_TYPE_F32,
    CacheType.F16: c.GGML_TYPE_F16,
    CacheType.BF16: 30,  # llama-cpp-python's table of types has no name for it
    CacheType.Q8_0: c.GGML_TYPE_Q8_0,
    CacheType.Q5_1: c.GGML_TYPE_Q5_1,
    CacheType.Q5_0: c.GGML_TYPE_Q5_0,
    CacheType.Q4_1: c.GGML_TYPE_Q4_1,
    CacheType.Q4_0: c.GGML_TYPE_Q4_0,
}
_NOT_QUANTIZED = frozenset({CacheType.F32, CacheType.F16, CacheType.BF16})
_FLASH_ATTENTION = {
    FlashAttention.AUTO: c.LLAMA_FLASH_ATTN_TYPE_AUTO,
    FlashAttention.ON: c.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    FlashAttention.OFF: c.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
_ROPE_SCALING = {
    None: c.LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED,
    RopeScalingType.NONE: c.LLAMA_ROPE_SCALING_TYPE_NONE,
    RopeScalingType.LINEAR: c.LLAMA_ROPE_SCALING_TYPE_LINEAR,
    RopeScalingType.YARN: c.LLAMA_ROPE_SCALING_TYPE_YARN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOptions:
    """Sizes in tokens. `ubatch_size` None: one batch is one graph.

    `slots` sequences are computed at the same time, and `kept` more may be remembered. With
    `embeds` every token's vector comes out, else the logits of one token of each sequence.
    """

    context_size: int
    slots: int
    batch_size: int
    threads: int
    ubatch_size: int | None = None
    cache_type_k: CacheType = CacheType.F16
    cache_type_v: CacheType = CacheType.F16
    flash_attention: FlashAttention = FlashAttention.AUTO
    rope: RopeScaling = RopeScaling()
    embeds: bool = False
    kept: int = 0

    @property
    def sequences(self) -> int:
        """Ids of sequences."""
        return self.slots + self.kept

    @property
    def num_outputs(self) -> int:
        """Rows of output one batch may ask for."""
        return self.batch_size if self.embeds else self.sequences

    def check(self, model: LlamaModel) -> None:
        """Raises InvalidFields for what llama.cpp dies on, or would refuse without a field."""
        violations = [
            *_check_block("cache_type_k", self.cache_type_k, model.head_size("key")),
            *_check_block("cache_type_v", self.cache_type_v, model.head_size("value")),
        ]
        if _is_quantized(self.cache_type_v) and self.flash_attention is FlashAttention.OFF:
            why = f"{self.cache_type_v.value} needs flash attention, which is off"
            violations.append(FieldViolation("options.cache_type_v", why))
        if violations:
            raise InvalidFields.of(*violations)

    def params(self) -> c.llama_context_params:
        params: c.llama_context_params = c.llama_context_default_params()
        params.n_ctx = self.context_size
        params.n_seq_max = self.sequences
        params.n_batch = self.batch_size
        params.n_ubatch = self.ubatch_size or self.batch_size
        # The default sizes the buffer of logits for every token of a batch.
        params.n_outputs_max = self.num_outputs
        params.n_threads = params.n_threads_batch = self.threads
        params.type_k = _CACHE_TYPES[self.cache_type_k]
        params.type_v = _CACHE_TYPES[self.cache_type_v]
        params.flash_attn_type = _FLASH_ATTENTION[self.flash_attention]
        params.rope_scaling_type = _ROPE_SCALING[self.rope.type]
        params.rope_freq_base = self.rope.freq_base or 0.0
        params.rope_freq_scale = self.rope.freq_scale or 0.0
        params.yarn_orig_ctx = self.rope.yarn_original_context or 0
        params.kv_unified = True
        params.embeddings = self.embeds
        if self.embeds:
            params.pooling_type = c.LLAMA_POOLING_TYPE_NONE
            params.cb_eval = stop_at_vectors
        return params


def _is_quantized(type: CacheType) -> bool:
    return type not in _NOT_QUANTIZED


def _check_block(field: str, type: CacheType, head_size: int) -> list[FieldViolation]:
    if not _is_quantized(type) or head_size % _QUANTIZED_BLOCK == 0:
        return []
    why = (
        f"{type.value} packs {_QUANTIZED_BLOCK} numbers into a block, "
        f"and this model's heads of {head_size} do not fill whole blocks"
    )
    return [FieldViolation(f"options.{field}", why)]
