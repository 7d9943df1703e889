"""The one table from errors to gRPC: a code, a reason, and details a program can act on."""

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from corral_server import errors
from corral_server.errors import CorralError

DOMAIN = "corral"

# Trailers have a hard limit of 16 KiB, beyond which the caller sees another error than ours.
_MAX_MESSAGE = 1024
_MAX_VALUE = 256
_MAX_VIOLATIONS = 16

_CODES: dict[type[CorralError], StatusCode] = {
    errors.InvalidFields: StatusCode.INVALID_ARGUMENT,
    errors.MalformedRequest: StatusCode.INVALID_ARGUMENT,
    errors.ContextLengthExceeded: StatusCode.INVALID_ARGUMENT,
    errors.ModelNotFound: StatusCode.NOT_FOUND,
    errors.NoDefaultModel: StatusCode.FAILED_PRECONDITION,
    errors.ModelFailed: StatusCode.FAILED_PRECONDITION,
    errors.ModelFileNotFound: StatusCode.NOT_FOUND,
    errors.ModelFileInvalid: StatusCode.FAILED_PRECONDITION,
    errors.ModelLoadFailed: StatusCode.FAILED_PRECONDITION,
    errors.LoadConflict: StatusCode.ALREADY_EXISTS,
    errors.ModelUnloaded: StatusCode.ABORTED,
    errors.CapabilityNotSupported: StatusCode.FAILED_PRECONDITION,
    errors.ChatTemplateFailed: StatusCode.FAILED_PRECONDITION,
    errors.QueueFull: StatusCode.RESOURCE_EXHAUSTED,
    errors.DuplicateRequestId: StatusCode.ALREADY_EXISTS,
    errors.EngineRestarting: StatusCode.UNAVAILABLE,
    errors.ServerDraining: StatusCode.UNAVAILABLE,
    errors.SlowConsumer: StatusCode.RESOURCE_EXHAUSTED,
    errors.InsufficientMemory: StatusCode.RESOURCE_EXHAUSTED,
    errors.PathNotAllowed: StatusCode.PERMISSION_DENIED,
    errors.HubNotFound: StatusCode.NOT_FOUND,
    errors.HubAccessDenied: StatusCode.PERMISSION_DENIED,
    errors.HubUnavailable: StatusCode.UNAVAILABLE,
    errors.HubDataCorrupt: StatusCode.DATA_LOSS,
    errors.DiskFull: StatusCode.RESOURCE_EXHAUSTED,
    errors.ConfigInvalid: StatusCode.FAILED_PRECONDITION,
    errors.CannotListen: StatusCode.UNAVAILABLE,
    errors.InternalError: StatusCode.INTERNAL,
}


def status_of(error: CorralError) -> status_pb2.Status:
    """The status a caller gets for `error`, its details included."""
    return status_pb2.Status(
        code=_CODES[type(error)].value[0],
        message=_cut(error.message, _MAX_MESSAGE),
        details=[_packed(detail) for detail in _details(error)],
    )


def _details(error: CorralError) -> list[Message]:
    metadata = {key: _cut(value, _MAX_VALUE) for key, value in error.metadata.items()}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    ]
    if error.violations:
        details.append(_bad_request(error))
    if error.retry_after_s is not None:
        details.append(_retry_info(error.retry_after_s))
    if isinstance(error, errors.ModelNotFound):
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type="model", resource_name=metadata.get("model", "")
            )
        )
    return details


def _bad_request(error: CorralError) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=_cut(violation.field, _MAX_VALUE), description=_cut(violation.why, _MAX_VALUE)
            )
            for violation in error.violations[:_MAX_VIOLATIONS]
        ]
    )


def _retry_info(retry_after_s: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(retry_after_s * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= limit else raw[: limit - 3].decode("utf-8", "ignore") + "..."
