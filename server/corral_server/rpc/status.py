"""The one table from errors to gRPC: a code, a reason, and details a program can act on."""

from itertools import accumulate

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from corral_server import errors
from corral_server.errors import CorralError

DOMAIN = "corral"

# Trailers beyond 8 KiB may be refused, and the caller then sees another error than ours. These keep
# them below 4 KiB: they carry the message twice, as text and, with the details, in base64.
_MAX_MESSAGE = 1024
_MAX_VALUE = 256
_MAX_VIOLATIONS = 1024
_PLAIN = frozenset(range(0x20, 0x7F)) - {ord("%")}

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
    errors.DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    errors.Unauthenticated: StatusCode.UNAUTHENTICATED,
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
        message=_cut_message(error.message),
        details=[_packed(detail) for detail in _details(error)],
    )


def pushback_of(error: CorralError) -> tuple[tuple[str, str], ...]:
    """The trailer that tells gRPC's own retries when to come back, in ms. Not at all, where it is
    the Hub that does not answer: it may be asked too often already."""
    if isinstance(error, errors.HubUnavailable):
        return (("grpc-retry-pushback-ms", "-1"),)
    if error.retry_after_s is None:
        return ()
    return (("grpc-retry-pushback-ms", str(round(error.retry_after_s * 1000))),)


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
    """The violations, as many as fit; the first always does."""
    bad = error_details_pb2.BadRequest()
    for violation in error.violations:
        bad.field_violations.add(
            field=_cut(violation.field, _MAX_VALUE), description=_cut(violation.why, _MAX_VALUE)
        )
        if bad.ByteSize() > _MAX_VIOLATIONS:
            del bad.field_violations[-1]
            break
    return bad


def _retry_info(retry_after_s: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(retry_after_s * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _cut_message(text: str) -> str:
    """What fits a header, which carries all but printable ASCII as three bytes for each."""
    raw = text.encode("utf-8", "replace")[: _MAX_MESSAGE + 1]
    sizes = accumulate(1 if byte in _PLAIN else 3 for byte in raw)
    return _cut(text, sum(size <= _MAX_MESSAGE for size in sizes))


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= limit else raw[: limit - 3].decode("utf-8", "ignore") + "..."
