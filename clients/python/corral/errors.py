"""What a failed call raises.

CorralError
├── InvalidRequest             the request is wrong; sending it again does not help
│   ├── InvalidFields          values out of range; `fields` names every one
│   ├── MalformedRequest       the bytes are not the message of this call
│   └── ContextLengthExceeded  the prompt does not fit the model
├── NotFound
│   ├── ModelNotFound          no model of this id
│   ├── ModelFileNotFound      no such file on the server
│   └── HubNotFound            no such repository, revision or file on the Hub
├── PermissionDenied
│   ├── PathNotAllowed         the server may not load from there
│   └── HubAccessDenied        the Hub wants a token, or access to be asked for
├── Unauthenticated            the server wants a token, and got none or another
├── Conflict
│   ├── LoadConflict           the id is loaded with another specification
│   └── DuplicateRequestId     a request of this id is running
├── FailedPrecondition         something must change first
│   ├── NoDefaultModel         no model was named and none is the default
│   ├── ModelFailed            the model is there but failed
│   ├── ModelFileInvalid       no GGUF file, cut short, or nonsense
│   ├── ModelLoadFailed        llama.cpp could not load the file
│   ├── CapabilityNotSupported the model was loaded without it
│   └── ChatTemplateFailed     no chat template, or it failed on this conversation
├── ResourceExhausted
│   ├── QueueFull              too many requests wait; `retry_after_s` says when to come back
│   ├── SlowConsumer           this program read its stream too slowly
│   ├── InsufficientMemory     no room for the model; `metadata` says how much is missing where
│   └── DiskFull               no room for the download
├── Unavailable                come back later
│   ├── EngineRestarting       the model's engine died and is coming back
│   ├── ServerDraining         the server is stopping
│   ├── HubUnavailable         the Hub does not answer the server, or asks to come back later
│   └── ServerUnreachable      nothing answers at the address
├── Aborted
│   └── ModelUnloaded          the model was unloaded while the call waited or ran
├── DataLoss
│   └── HubDataCorrupt         what was downloaded is not what the Hub announced
├── DeadlineExceeded           the timeout given to the call passed, here or at the server
├── Cancelled                  the call was cancelled
└── InternalError              a fault of the server; `request_id` finds it in the log

A reason newer than this client raises the class of its status code.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "corral"

Detail = TypeVar("Detail", bound=Message)


class FieldViolation(NamedTuple):
    """One bad field: its path in the request, and what is wrong with it."""

    field: str
    why: str


class CorralError(Exception):
    """A call failed.

    `code` is the status code and `reason` the name in ErrorReason without its prefix, empty if
    the server gave none. `metadata` holds the numbers and names behind `message`, `fields` every
    bad field, `resource` what was not found; `retry_after_s` is None where the server does not
    say when to come back.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        fields: Iterable[FieldViolation] = (),
        resource: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.fields = tuple(fields)
        self.resource = resource
        self.retry_after_s = retry_after_s

    @property
    def request_id(self) -> str:
        """The failed request as the server's log names it; empty if the server did not say."""
        return self.metadata.get("request_id", "")


class InvalidRequest(CorralError):
    """The request is wrong; sending it again does not help."""


class InvalidFields(InvalidRequest):
    """Values are out of range; `fields` names every one."""


class MalformedRequest(InvalidRequest):
    """The bytes are not the message of this call."""


class ContextLengthExceeded(InvalidRequest):
    """The prompt does not fit; `metadata` has prompt_tokens and limit."""


class NotFound(CorralError):
    """Something named in the request does not exist."""


class ModelNotFound(NotFound):
    """No model has this id; `resource` is the id."""


class ModelFileNotFound(NotFound):
    """There is no such file on the server's machine."""


class HubNotFound(NotFound):
    """The Hub has no such repository, revision or file."""


class PermissionDenied(CorralError):
    """The server may not do this."""


class PathNotAllowed(PermissionDenied):
    """The path lies outside the directories the server may load from."""


class HubAccessDenied(PermissionDenied):
    """The Hub wants a token from the server, or access to be asked for."""


class Unauthenticated(CorralError):
    """The server wants a token, and this call brought none or another."""


class Conflict(CorralError):
    """The name is taken."""


class LoadConflict(Conflict):
    """The id is loaded with another specification."""


class DuplicateRequestId(Conflict):
    """A request of this request_id is running."""


class FailedPrecondition(CorralError):
    """Something must change before this call can succeed."""


class NoDefaultModel(FailedPrecondition):
    """No model was named and none is the default."""


class ModelFailed(FailedPrecondition):
    """The model is there but failed; the message says why."""


class ModelFileInvalid(FailedPrecondition):
    """The file is no GGUF file, is cut short, or makes no sense."""


class ModelLoadFailed(FailedPrecondition):
    """llama.cpp could not load the file."""


class CapabilityNotSupported(FailedPrecondition):
    """The model was loaded without this capability."""


class ChatTemplateFailed(FailedPrecondition):
    """The file has no chat template, or it failed on this conversation."""


class ResourceExhausted(CorralError):
    """A limit was met."""


class QueueFull(ResourceExhausted):
    """Too many requests wait; `retry_after_s` says when to come back."""


class SlowConsumer(ResourceExhausted):
    """This program read its stream too slowly."""


class InsufficientMemory(ResourceExhausted):
    """No room for the model; `metadata` has device, required, available and limit, bytes."""


class DiskFull(ResourceExhausted):
    """No room for the download; `metadata` has required and available, bytes."""


class Unavailable(CorralError):
    """The server cannot answer now; later it may."""


class EngineRestarting(Unavailable):
    """The model's engine died and is being started again."""


class ServerDraining(Unavailable):
    """The server is stopping."""


class HubUnavailable(Unavailable):
    """The Hub does not answer the server, or asks to come back in `retry_after_s`."""


class ServerUnreachable(Unavailable):
    """Nothing answers at the address, or the connection broke."""


class Aborted(CorralError):
    """The call was ended from elsewhere."""


class ModelUnloaded(Aborted):
    """The model was unloaded while the call waited or ran."""


class DataLoss(CorralError):
    """What arrived is not what was sent."""


class HubDataCorrupt(DataLoss):
    """What was downloaded is not what the Hub announced."""


class DeadlineExceeded(CorralError):
    """The timeout given to the call passed, here or while the request waited at the server."""


class Cancelled(CorralError):
    """The call was cancelled."""


class InternalError(CorralError):
    """A fault of the server; `request_id` finds it in the server's log."""


BY_REASON: Mapping[str, type[CorralError]] = {
    "INVALID_FIELD": InvalidFields,
    "MALFORMED_REQUEST": MalformedRequest,
    "CONTEXT_LENGTH_EXCEEDED": ContextLengthExceeded,
    "MODEL_NOT_FOUND": ModelNotFound,
    "NO_DEFAULT_MODEL": NoDefaultModel,
    "MODEL_FAILED": ModelFailed,
    "MODEL_FILE_NOT_FOUND": ModelFileNotFound,
    "MODEL_FILE_INVALID": ModelFileInvalid,
    "MODEL_LOAD_FAILED": ModelLoadFailed,
    "LOAD_CONFLICT": LoadConflict,
    "MODEL_UNLOADED": ModelUnloaded,
    "CAPABILITY_NOT_SUPPORTED": CapabilityNotSupported,
    "QUEUE_FULL": QueueFull,
    "ENGINE_RESTARTING": EngineRestarting,
    "SERVER_DRAINING": ServerDraining,
    "CHAT_TEMPLATE_FAILED": ChatTemplateFailed,
    "SLOW_CONSUMER": SlowConsumer,
    "INTERNAL": InternalError,
    "DUPLICATE_REQUEST_ID": DuplicateRequestId,
    "INSUFFICIENT_MEMORY": InsufficientMemory,
    "PATH_NOT_ALLOWED": PathNotAllowed,
    "HUB_NOT_FOUND": HubNotFound,
    "HUB_ACCESS_DENIED": HubAccessDenied,
    "HUB_UNAVAILABLE": HubUnavailable,
    "HUB_DATA_CORRUPT": HubDataCorrupt,
    "DISK_FULL": DiskFull,
    "UNAUTHENTICATED": Unauthenticated,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
}

BY_CODE: Mapping[grpc.StatusCode, type[CorralError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INTERNAL: InternalError,
}


class Failure(Protocol):
    """What the errors of grpc and of grpc.aio have in common."""

    def code(self) -> grpc.StatusCode: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Raises gRPC's errors from inside as ours. Works around an await as well."""
    try:
        yield
    except grpc.RpcError as err:
        # grpc raises calls as their own errors, which its RpcError does not say.
        raise parse(cast(Failure, err), address) from err


def parse(failure: Failure, address: str) -> CorralError:
    """The error of a failed call to the server at `address`."""
    status = _status(failure)
    info = _detail(status, error_details_pb2.ErrorInfo)
    if info is None or info.domain != DOMAIN:
        return _parse_foreign(failure, address)
    bad = _detail(status, error_details_pb2.BadRequest) or error_details_pb2.BadRequest()
    resource = _detail(status, error_details_pb2.ResourceInfo) or error_details_pb2.ResourceInfo()
    retry = _detail(status, error_details_pb2.RetryInfo)
    kind = BY_REASON.get(info.reason) or BY_CODE.get(failure.code(), CorralError)
    return kind(
        status.message or failure.details() or "",
        code=failure.code(),
        reason=info.reason,
        metadata=info.metadata,
        fields=[FieldViolation(v.field, v.description) for v in bad.field_violations],
        resource=resource.resource_name,
        retry_after_s=None if retry is None else retry.retry_delay.ToTimedelta().total_seconds(),
    )


def _parse_foreign(failure: Failure, address: str) -> CorralError:
    """The error of a call that gRPC itself ended, or something between us and the server."""
    code, details = failure.code(), failure.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        cause = details.rpartition(": ")[2]  # gRPC puts what it tried before what happened
        return ServerUnreachable(
            f"cannot reach a Corral server at {address} ({cause}); start one with: corral serve",
            code=code,
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        details = (
            f"the server at {address} does not know this call; it may be older than this client"
        )
    return BY_CODE.get(code, CorralError)(details, code=code)


def _status(failure: Failure) -> status_pb2.Status:
    """The rich status of the call; an empty one if it carries none that can be read."""
    for key, value in failure.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: type[Detail]) -> Detail | None:
    """The first detail of this kind."""
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    return None
