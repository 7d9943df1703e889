"""Every number, size and count a caller may set, with its bounds: the contract's ranges."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """`low` to `high`, `low` itself excluded where `above`."""

    low: float
    high: float
    above: bool = False

    def __contains__(self, value: float) -> bool:
        """Not a number is in no range."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'above ' if self.above else ''}{self.low:.15g} to {self.high:.15g}"


SAMPLING = {
    "temperature": Range(0, 100),
    "top_k": Range(0, 1_000_000),
    "top_p": Range(0, 1),
    "min_p": Range(0, 1),
    "repeat_penalty": Range(0, 100, above=True),
    "repeat_last_n": Range(0, 4096),
    "frequency_penalty": Range(-100, 100),
    "presence_penalty": Range(-100, 100),
    "seed": Range(0, 2**32 - 1),
}
LOGIT_BIAS = Range(-1000, 1000)
MAX_TOKENS = Range(1, 2**24)

LOAD = {
    "context_size": Range(256, 2**24),
    "slots": Range(1, 64),
    "batch_size": Range(1, 8192),
    "threads": Range(1, 512),
    "max_waiting": Range(0, 100_000),
    "ubatch_size": Range(1, 8192),
    "gpu_layers": Range(-1, 1000),
    "main_gpu": Range(0, 15),
}
ROPE = {
    "freq_base": Range(0, 1e9, above=True),
    "freq_scale": Range(0, 1000, above=True),
    "yarn_original_context": Range(0, 2**24),
}
STEP_TARGET_S = Range(0.001, 60)
HOST_CACHE_BYTES = Range(0, 2**50)
TENSOR_SPLIT = Range(0, 1e9)
LORA_SCALE = Range(-100, 100)
KEEP_ALIVE_S = Range(0, 30 * 24 * 3600)
HUB_LIMIT = Range(1, 100)
DRAIN_TIMEOUT_S = Range(0, 3600)

MAX_TEXT_BYTES = 4 * 1024 * 1024
MAX_TOKEN_IDS = 1_000_000
MAX_LOGIT_BIASES = 1024
MAX_STOP_STRINGS = 16
MAX_STOP_BYTES = 256
MAX_STOP_TOKENS = 64
MAX_MESSAGES = 4096
MAX_TOOLS = 128
MAX_TOOL_CALLS = 128
MAX_NAME_BYTES = 128
MAX_REQUEST_ID = 128  # characters
MAX_CACHE_SCOPE = 128  # characters
MAX_DESCRIPTION_BYTES = 4096
MAX_SCHEMA_BYTES = 64 * 1024
MAX_PATH_BYTES = 4096
MAX_TEMPLATE_BYTES = 512 * 1024
MAX_DEVICES = 16
MAX_LORAS = 16
MAX_ALIASES = 16
MAX_QUERY_BYTES = 256
MAX_EMBED_INPUTS = 4096
