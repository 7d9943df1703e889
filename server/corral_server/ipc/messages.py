"""Every message between a server and one of its engines. A frame holds a list of them.

Down: Start, Proceed, Submit, Embed, Cancel, Crowded, and questions: Tokenize, Detokenize,
CountTokens, AskLoad. Closing the channel ends the engine. Up: Probed, Loading, Ready, LoadFailed,
then per step Output, Embedded and Rejected, and an Answer or Rejected for each question.
"""

from enum import Enum

import msgspec

from corral_server.config import GENERATIVE, Capability, LoadOptions, Mode, Pooling
from corral_server.errors import BY_REASON, CorralError, FieldViolation, InternalError
from corral_server.request import (
    Event,
    GenerationRequest,
    Prompt,
    TextPrompt,
    Token,
    TokenPrompt,
)


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a model file turned out to be. Sizes in bytes, lengths in tokens."""

    architecture: str
    name: str
    parameter_count: int
    quantization: str
    file_bytes: int
    vocab_size: int
    embedding_size: int
    trained_context: int
    has_chat_template: bool


class DeviceFootprint(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a model will take of one device, in bytes. RAM is the machine's memory."""

    device: str
    weights_bytes: int
    cache_bytes: int
    compute_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.cache_bytes + self.compute_bytes


class Device(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A GPU that ggml reports, in its words. Bytes."""

    name: str
    description: str
    total_bytes: int
    free_bytes: int


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a ready engine offers. `sequence_limit`: tokens one sequence may hold. `threads`: on how
    many it computes. `growth_bytes`: by how much its resident memory grew from before the load to
    ready, and what it may keep in host memory beyond."""

    context_size: int
    sequence_limit: int
    slots: int
    memory_bytes: int
    growth_bytes: int = 0
    threads: int = 1


class LoadStage(Enum):
    """The stages of a load, in order."""

    DOWNLOADING = "downloading"
    PROBING = "probing"
    LOADING = "loading"
    WARMING = "warming"


# Down.


class Start(msgspec.Struct, frozen=True, tag="start", array_like=True):
    """Look at this model: the first thing an engine hears. Answered by Probed or LoadFailed."""

    path: str
    options: LoadOptions
    capabilities: frozenset[Capability] = GENERATIVE
    mode: Mode = Mode.SERVER


class Proceed(msgspec.Struct, frozen=True, tag="proceed", array_like=True):
    """Load it. Answered by Loading..., then Ready or LoadFailed."""


class Submit(msgspec.Struct, frozen=True, tag="submit", array_like=True):
    """Generate. Answered by Outputs, the last with a Finished, or by Rejected."""

    call: int
    request: GenerationRequest


class Embed(msgspec.Struct, frozen=True, kw_only=True, tag="embed", array_like=True):
    """Turn inputs into vectors. Answered by Embeddeds, the last with `is_last`, or by Rejected.

    `pooling` None is as the model was loaded; `normalize` scales vectors to length 1.
    """

    call: int
    inputs: tuple[TextPrompt | TokenPrompt, ...]
    pooling: Pooling | None = None
    normalize: bool = True


class Cancel(msgspec.Struct, frozen=True, tag="cancel", array_like=True):
    """Forget a call. Not answered; an unknown call is ignored, so races are harmless."""

    call: int


class Crowded(msgspec.Struct, frozen=True, tag="crowded", array_like=True):
    """Whether other engines compute on the same processors. At first none does. Not answered."""

    is_crowded: bool


class Tokenize(msgspec.Struct, frozen=True, tag="tokenize", array_like=True):
    """Split a text. Answered by Tokenized or Rejected."""

    call: int
    text: str
    add_special: bool
    parse_special: bool


class Detokenize(msgspec.Struct, frozen=True, tag="detokenize", array_like=True):
    """Join tokens. Answered by Detokenized or Rejected."""

    call: int
    token_ids: tuple[int, ...]
    unparse_special: bool


class CountTokens(msgspec.Struct, frozen=True, tag="count", array_like=True):
    """Count a prompt's tokens. Answered by Counted or Rejected."""

    call: int
    prompt: Prompt


class AskLoad(msgspec.Struct, frozen=True, tag="ask_load", array_like=True):
    """How busy is it? Answered by EngineLoad."""

    call: int


# Up.


class Probed(msgspec.Struct, frozen=True, tag="probed", array_like=True):
    """The file makes sense, holds this and will take that. The engine waits for Proceed.

    `devices`: the GPUs of this machine.
    """

    facts: ModelFacts
    footprint: tuple[DeviceFootprint, ...] = ()
    devices: tuple[Device, ...] = ()


class Loading(msgspec.Struct, frozen=True, tag="loading", array_like=True):
    """The load went on. The bytes are those of a download."""

    stage: LoadStage
    fraction: float
    done_bytes: int = 0
    total_bytes: int = 0


class Ready(msgspec.Struct, frozen=True, tag="ready", array_like=True):
    """The model answers calls from now on."""

    facts: EngineFacts


class Output(msgspec.Struct, frozen=True, tag="output", array_like=True):
    """What one step brought one call."""

    call: int
    event: Event


class Embedded(msgspec.Struct, frozen=True, kw_only=True, tag="embedded", array_like=True):
    """The vectors of some inputs, in their order, going on where the call's last one ended.

    `vectors` holds 32-bit floats, little-endian, a row of `size` for each input; `token_counts`
    has the tokens of each.
    """

    call: int
    size: int
    vectors: bytes
    token_counts: tuple[int, ...]
    is_last: bool


class Tokenized(msgspec.Struct, frozen=True, tag="tokenized", array_like=True):
    call: int
    tokens: tuple[Token, ...]


class Detokenized(msgspec.Struct, frozen=True, tag="detokenized", array_like=True):
    call: int
    raw: bytes


class Counted(msgspec.Struct, frozen=True, tag="counted", array_like=True):
    call: int
    tokens: int


class EngineLoad(msgspec.Struct, frozen=True, kw_only=True, tag="engine_load", array_like=True):
    """How busy an engine is: requests, cells of the KV cache, tokens per second of the last ten
    seconds. `prompt_cached_ratio`: part of all prompt tokens that were found computed.
    `estimated_wait_s`: for one more request; None while nothing is known."""

    call: int
    slots: int
    running: int
    waiting: int
    max_waiting: int
    cells: int
    cells_used: int
    cells_cached: int
    completion_tokens_per_s: float
    prompt_tokens_per_s: float
    prompt_cached_ratio: float
    estimated_wait_s: float | None


class Failure(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A CorralError on its way between two processes."""

    reason: str
    message: str
    violations: tuple[tuple[str, str], ...]
    retry_after_s: float | None
    metadata: dict[str, str]

    @classmethod
    def of(cls, error: CorralError) -> "Failure":
        return cls(
            reason=error.reason,
            message=error.message,
            violations=tuple((v.field, v.why) for v in error.violations),
            retry_after_s=error.retry_after_s,
            metadata=error.metadata,
        )

    def error(self) -> CorralError:
        return BY_REASON.get(self.reason, InternalError)(
            self.message,
            violations=tuple(FieldViolation(field, why) for field, why in self.violations),
            retry_after_s=self.retry_after_s,
            **self.metadata,
        )


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed", array_like=True):
    """The load ended. The engine ends too."""

    failure: Failure


class Rejected(msgspec.Struct, frozen=True, tag="rejected", array_like=True):
    """A call ended with an error."""

    call: int
    failure: Failure


Question = Tokenize | Detokenize | CountTokens | AskLoad
Command = Start | Proceed | Submit | Embed | Cancel | Crowded | Question
Answer = Tokenized | Detokenized | Counted | EngineLoad
Report = (
    Probed
    | Loading
    | Ready
    | LoadFailed
    | Output
    | Embedded
    | Rejected
    | Tokenized
    | Detokenized
    | Counted
    | EngineLoad
)
