from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_FIELD: _ClassVar[ErrorReason]
    ERROR_REASON_MALFORMED_REQUEST: _ClassVar[ErrorReason]
    ERROR_REASON_CONTEXT_LENGTH_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_NO_DEFAULT_MODEL: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_FILE_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_FILE_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_LOAD_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_LOAD_CONFLICT: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_UNLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_CAPABILITY_NOT_SUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_QUEUE_FULL: _ClassVar[ErrorReason]
    ERROR_REASON_ENGINE_RESTARTING: _ClassVar[ErrorReason]
    ERROR_REASON_SERVER_DRAINING: _ClassVar[ErrorReason]
    ERROR_REASON_CHAT_TEMPLATE_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_SLOW_CONSUMER: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_DUPLICATE_REQUEST_ID: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INVALID_FIELD: ErrorReason
ERROR_REASON_MALFORMED_REQUEST: ErrorReason
ERROR_REASON_CONTEXT_LENGTH_EXCEEDED: ErrorReason
ERROR_REASON_MODEL_NOT_FOUND: ErrorReason
ERROR_REASON_NO_DEFAULT_MODEL: ErrorReason
ERROR_REASON_MODEL_FAILED: ErrorReason
ERROR_REASON_MODEL_FILE_NOT_FOUND: ErrorReason
ERROR_REASON_MODEL_FILE_INVALID: ErrorReason
ERROR_REASON_MODEL_LOAD_FAILED: ErrorReason
ERROR_REASON_LOAD_CONFLICT: ErrorReason
ERROR_REASON_MODEL_UNLOADED: ErrorReason
ERROR_REASON_CAPABILITY_NOT_SUPPORTED: ErrorReason
ERROR_REASON_QUEUE_FULL: ErrorReason
ERROR_REASON_ENGINE_RESTARTING: ErrorReason
ERROR_REASON_SERVER_DRAINING: ErrorReason
ERROR_REASON_CHAT_TEMPLATE_FAILED: ErrorReason
ERROR_REASON_SLOW_CONSUMER: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_DUPLICATE_REQUEST_ID: ErrorReason
