"""What callers ask of a model, and what becomes of it: immutable, checked at the edge.

These structs travel between the server and its engines as they are (see `ipc/`).
"""

from enum import Enum, IntEnum

import msgspec


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How the next token is chosen. The defaults are those of llama.cpp's server, but for the seed:
    whoever makes a request draws one."""

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0
    logit_bias: dict[int, float] = {}

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0.0

    @property
    def has_penalties(self) -> bool:
        return self.repeat_last_n > 0 and (
            self.repeat_penalty != 1.0
            or self.frequency_penalty != 0.0
            or self.presence_penalty != 0.0
        )


class StopParams(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """When an answer ends, apart from the model's own end and `max_tokens`."""

    strings: tuple[str, ...] = ()
    token_ids: tuple[int, ...] = ()
    include_stop: bool = False
    ignore_eos: bool = False


class ToolCall(msgspec.Struct, frozen=True, array_like=True):
    """A tool call of an assistant's turn; `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One turn of a conversation; `role` is system, user, assistant or tool."""

    role: str
    content: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


class Tool(msgspec.Struct, frozen=True, array_like=True):
    """A tool the model may call; `parameters` is a JSON Schema as text."""

    name: str
    description: str
    parameters: str


class TextPrompt(msgspec.Struct, frozen=True, kw_only=True, tag="text", array_like=True):
    """A text to continue. `add_special` lets the model's own start token stand before it."""

    text: str
    add_special: bool = True
    parse_special: bool = False


class TokenPrompt(msgspec.Struct, frozen=True, tag="tokens", array_like=True):
    """Tokens to continue, taken as they are."""

    token_ids: tuple[int, ...]


class Conversation(msgspec.Struct, frozen=True, kw_only=True, tag="conversation", array_like=True):
    """Turns for the model's chat template. `enable_thinking` None leaves it to the template."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    enable_thinking: bool | None = None


Prompt = TextPrompt | TokenPrompt | Conversation


class Priority(IntEnum):
    """Which waiting requests go first: the greater."""

    LOW = 1
    NORMAL = 2
    HIGH = 3


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A text to be generated. `max_tokens` None means what the context still holds.

    `cache_scope` names who may share what is computed for the prompt. `time_left_s` is what the
    caller's deadline leaves, counted from when the engine hears of the request; None for ever.
    """

    prompt: Prompt
    sampling: SamplingParams = SamplingParams()
    stop: StopParams = StopParams()
    max_tokens: int | None = None
    wants_tokens: bool = False
    cache_scope: str = ""
    priority: Priority = Priority.NORMAL
    time_left_s: float | None = None


class FinishReason(Enum):
    """Why an answer ended."""

    EOS = "eos"
    STOP_STRING = "stop_string"
    STOP_TOKEN = "stop_token"
    LENGTH = "length"
    CONTEXT_LENGTH = "context_length"


class Token(msgspec.Struct, frozen=True, array_like=True):
    """A token and its bytes, which may be a part of a UTF-8 character."""

    id: int
    piece: bytes


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started", array_like=True):
    """The request was accepted. `queue_position` requests wait before it, for about
    `estimated_wait_s` seconds; None where nothing is known or nothing is waited for."""

    prompt_tokens: int
    queue_position: int = 0
    estimated_wait_s: float | None = None


class Delta(msgspec.Struct, frozen=True, kw_only=True, tag="delta", array_like=True):
    """More text. `completion_tokens` counts the answer's tokens so far, these included."""

    text: str
    completion_tokens: int
    tokens: tuple[Token, ...] = ()


class Timings(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a request's time went, in seconds: waiting, prompt, answer."""

    queue_s: float
    prefill_s: float
    decode_s: float


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished", array_like=True):
    """The answer is complete. `stop_string` and `stop_token` say what ended it, if one did."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    timings: Timings
    cached_tokens: int = 0
    stop_string: str | None = None
    stop_token: int | None = None


Event = Started | Delta | Finished
