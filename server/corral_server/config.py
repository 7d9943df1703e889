"""What a server is told to do: frozen, complete, without a word about how."""

from dataclasses import dataclass, field
from enum import Enum

import msgspec


class Capability(Enum):
    """What a model can be asked to do."""

    GENERATE = "generate"
    CHAT = "chat"


class PathSource(msgspec.Struct, frozen=True, tag="path", array_like=True):
    """A GGUF file on this machine, or the first of a split set."""

    path: str


class DemoSource(msgspec.Struct, frozen=True, tag="demo", array_like=True):
    """The model embedded in Corral."""


ModelSource = PathSource | DemoSource


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How a model is loaded; None takes the default that its engine derives from the model.

    `context_size`: tokens the KV cache holds over all slots; default the trained context
    times the slots, at most 8192. `threads`: default the physical cores.
    """

    context_size: int | None = None
    slots: int = 8
    batch_size: int = 512
    threads: int | None = None
    max_waiting: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as it was asked for. Two loads of one id agree only if their specs are equal."""

    id: str
    source: ModelSource
    options: LoadOptions = LoadOptions()
    capabilities: frozenset[Capability] = frozenset({Capability.GENERATE, Capability.CHAT})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTimeouts:
    """How long an engine may take, in seconds, and when one that dies is given up.

    `stall_s` bounds a load by its lack of progress, not by its length.
    """

    stall_s: float = 120.0
    backoff_s: float = 0.5
    backoff_max_s: float = 30.0
    deaths: int = 3
    deaths_within_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """A server: where it listens, which models it starts with, how it stops.

    `models` load at start; `default_model` is one of their ids or None. `grace_s` is how long
    running calls may go on after SIGTERM. `max_request_bytes` bounds one incoming message.
    """

    address: str = "127.0.0.1:50051"
    models: tuple[ModelSpec, ...] = ()
    default_model: str | None = None
    grace_s: float = 30.0
    drain_timeout_s: float = 30.0
    max_request_bytes: int = 16 * 1024 * 1024
    engine: EngineTimeouts = field(default_factory=EngineTimeouts)
