"""Everything that can go wrong, as nouns. Nothing here knows gRPC; `rpc/status.py` maps it.

CorralError
├── InvalidFields            a request holds values out of range; all of them are named at once
├── MalformedRequest         the bytes of a request are not its message
├── ContextLengthExceeded    a prompt does not fit one sequence
├── ModelNotFound            no model of that id
├── NoDefaultModel           no model was named and none is the default
├── ModelFailed              the model is known but failed
├── ModelFileNotFound        there is no such file
├── ModelFileInvalid         the file is no GGUF file, is cut short, or makes no sense
├── ModelLoadFailed          llama.cpp could not load the file
├── LoadConflict             the id is taken by another specification
├── ModelUnloaded            the model went away while the call waited or ran
├── CapabilityNotSupported   the model was loaded without it
├── ChatTemplateFailed       no chat template, or it failed on this conversation
├── QueueFull                too many requests wait already
├── DeadlineExceeded         the caller's deadline passed while the request waited or ran
├── Unauthenticated          the caller brought no token, or another than the server wants
├── DuplicateRequestId       a request of that name is running
├── EngineRestarting         the engine died and is coming back
├── ServerDraining           the server is stopping
├── SlowConsumer             the caller reads too slowly
├── InsufficientMemory       the budget has no room for a model
├── PathNotAllowed           a path leads out of the directories models may come from
├── HubNotFound              no such repository, revision or file on the Hub
├── HubAccessDenied          the Hub wants a token, or access to be asked for
├── HubUnavailable           the Hub does not answer, or asks to come back later
├── HubDataCorrupt           what was downloaded is not what the Hub announced
├── DiskFull                 a download does not fit the disk
├── ConfigInvalid            a configuration file makes no sense; only at start and at reload
├── CannotListen             the address is taken or is none; only at start
└── InternalError            our own fault
"""

from dataclasses import dataclass
from typing import ClassVar

# When to come back to a full queue: if nothing is known, and at the earliest.
_UNKNOWN_WAIT_S = 1.0
_SHORTEST_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One bad field: its path in the request as the caller wrote it, and what is wrong."""

    field: str
    why: str


class CorralError(Exception):
    """An error with a reason a program can act on and a message a person can.

    `metadata` holds the numbers and names behind the message; `retry_after_s` is set where
    coming back later helps. All of it survives the way from an engine to the caller.
    """

    reason: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        violations: tuple[FieldViolation, ...] = (),
        retry_after_s: float | None = None,
        **metadata: str | int,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.violations = violations
        self.retry_after_s = retry_after_s
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvalidFields(CorralError):
    reason = "INVALID_FIELD"

    @classmethod
    def of(cls, *violations: FieldViolation) -> "InvalidFields":
        """The error for these violations, its message naming all of them."""
        return cls("; ".join(f"{v.field}: {v.why}" for v in violations), violations=violations)


class MalformedRequest(CorralError):
    reason = "MALFORMED_REQUEST"


class ContextLengthExceeded(CorralError):
    reason = "CONTEXT_LENGTH_EXCEEDED"


class ModelNotFound(CorralError):
    reason = "MODEL_NOT_FOUND"


class NoDefaultModel(CorralError):
    reason = "NO_DEFAULT_MODEL"


class ModelFailed(CorralError):
    reason = "MODEL_FAILED"


class ModelFileNotFound(CorralError):
    reason = "MODEL_FILE_NOT_FOUND"


class ModelFileInvalid(CorralError):
    reason = "MODEL_FILE_INVALID"


class ModelLoadFailed(CorralError):
    reason = "MODEL_LOAD_FAILED"


class LoadConflict(CorralError):
    reason = "LOAD_CONFLICT"


class ModelUnloaded(CorralError):
    reason = "MODEL_UNLOADED"


class CapabilityNotSupported(CorralError):
    reason = "CAPABILITY_NOT_SUPPORTED"


class ChatTemplateFailed(CorralError):
    reason = "CHAT_TEMPLATE_FAILED"


class QueueFull(CorralError):
    reason = "QUEUE_FULL"

    @classmethod
    def of(cls, *, waiting: int, limit: int, wait_s: float | None = None) -> "QueueFull":
        """The error for so many that wait already; `wait_s` is how long one more would, if that is
        known."""
        return cls(
            f"{waiting} requests wait already; come back later",
            retry_after_s=_UNKNOWN_WAIT_S if wait_s is None else max(wait_s, _SHORTEST_WAIT_S),
            waiting=waiting,
            limit=limit,
        )


class DeadlineExceeded(CorralError):
    reason = "DEADLINE_EXCEEDED"


class Unauthenticated(CorralError):
    reason = "UNAUTHENTICATED"


class DuplicateRequestId(CorralError):
    reason = "DUPLICATE_REQUEST_ID"


class EngineRestarting(CorralError):
    reason = "ENGINE_RESTARTING"


class ServerDraining(CorralError):
    reason = "SERVER_DRAINING"


class SlowConsumer(CorralError):
    reason = "SLOW_CONSUMER"


class InsufficientMemory(CorralError):
    reason = "INSUFFICIENT_MEMORY"


class PathNotAllowed(CorralError):
    reason = "PATH_NOT_ALLOWED"


class HubNotFound(CorralError):
    reason = "HUB_NOT_FOUND"


class HubAccessDenied(CorralError):
    reason = "HUB_ACCESS_DENIED"


class HubUnavailable(CorralError):
    reason = "HUB_UNAVAILABLE"


class HubDataCorrupt(CorralError):
    reason = "HUB_DATA_CORRUPT"


class DiskFull(CorralError):
    reason = "DISK_FULL"


class ConfigInvalid(CorralError):
    reason = "CONFIG_INVALID"


class CannotListen(CorralError):
    reason = "CANNOT_LISTEN"


class InternalError(CorralError):
    reason = "INTERNAL"


BY_REASON: dict[str, type[CorralError]] = {
    error.reason: error for error in CorralError.__subclasses__()
}
