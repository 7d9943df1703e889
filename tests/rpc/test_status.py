"""What a caller gets for each of our errors."""

import base64
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from corral.v1 import error_reason_pb2
from corral_server import errors
from corral_server.errors import CorralError, FieldViolation, InvalidFields
from corral_server.rpc.status import pushback_of, status_of

PROTO = Path(__file__).parents[2] / "proto/corral/v1/error_reason.proto"
MAX_TRAILERS = 4096

ERRORS = CorralError.__subclasses__()
# What a caller never hears: the server does not start, or a reload is only logged.
_OURS = (errors.CannotListen, errors.ConfigInvalid)
TOLD = [error for error in ERRORS if error not in _OURS]


def details(status: status_pb2.Status, kind: type[Any]) -> list[Any]:
    """The details of this type."""
    found = []
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found


def trailer_bytes(status: status_pb2.Status) -> int:
    """What HTTP/2 carries of it: the message percent-encoded, the details in base64."""
    message = quote(status.message, safe="".join(map(chr, range(0x20, 0x7F))).replace("%", ""))
    return len(message) + len(base64.b64encode(status.SerializeToString()))


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_a_code_and_says_its_reason(error: type[CorralError]) -> None:
    status = status_of(error("what happened", model="m", limit=7))
    assert status.code not in (code_pb2.OK, code_pb2.UNKNOWN)
    assert status.message == "what happened"
    (info,) = details(status, error_details_pb2.ErrorInfo)
    assert (info.domain, info.reason) == ("corral", error.reason)
    assert dict(info.metadata) == {"model": "m", "limit": "7"}


@pytest.mark.parametrize("error", TOLD)
def test_every_reason_is_in_the_contract_with_its_code(error: type[CorralError]) -> None:
    name = f"ERROR_REASON_{error.reason}"
    assert name in error_reason_pb2.ErrorReason.keys()
    comment = rf"// ([A-Z_]+):(?:[^\n]*\n *//)*[^\n]*\n *{name} ="
    (promised,) = re.findall(comment, PROTO.read_text())
    assert code_pb2.Code.Name(status_of(error("x")).code) == promised


def test_the_contract_has_no_reason_that_never_happens() -> None:
    known = {f"ERROR_REASON_{error.reason}" for error in TOLD}
    assert set(error_reason_pb2.ErrorReason.keys()) == known | {"ERROR_REASON_UNSPECIFIED"}


def test_bad_fields_come_as_a_bad_request() -> None:
    error = InvalidFields.of(FieldViolation("a", "is bad"), FieldViolation("b[1]", "is worse"))
    status = status_of(error)
    (bad,) = details(status, error_details_pb2.BadRequest)
    said = [(violation.field, violation.description) for violation in bad.field_violations]
    assert said == [("a", "is bad"), ("b[1]", "is worse")]
    assert status.message == "a: is bad; b[1]: is worse"


def test_when_to_come_back_comes_as_retry_info() -> None:
    (retry,) = details(
        status_of(errors.QueueFull("full", retry_after_s=1.5)), error_details_pb2.RetryInfo
    )
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_when_to_come_back_is_told_to_retries_of_grpc_too() -> None:
    assert pushback_of(errors.EngineRestarting("x", retry_after_s=0.5)) == (
        ("grpc-retry-pushback-ms", "500"),
    )
    assert pushback_of(errors.ModelNotFound("x")) == ()


def test_retries_of_grpc_leave_the_hub_alone() -> None:
    assert pushback_of(errors.HubUnavailable("x", retry_after_s=0.5)) == (
        ("grpc-retry-pushback-ms", "-1"),
    )


def test_a_model_that_is_not_there_comes_as_resource_info() -> None:
    (resource,) = details(
        status_of(errors.ModelNotFound("no", model="m")), error_details_pb2.ResourceInfo
    )
    assert (resource.resource_type, resource.resource_name) == ("model", "m")


def test_what_does_not_apply_is_left_out() -> None:
    assert len(status_of(errors.ModelFailed("no")).details) == 1


HUGE = [
    errors.ModelFailed("x" * 20_000),
    errors.ModelFailed("日" * 20_000),
    errors.ModelFailed("\n%" * 20_000),
    errors.ModelNotFound("日" * 9_000, model="m" * 9_000, candidates="日" * 9_000),
    errors.ModelFailed("x" * 9_000, retry_after_s=1.0, a="v" * 999, b="v" * 999, c="日" * 999),
    InvalidFields.of(*(FieldViolation(f"sampling.logit_bias[{n}]", "bad") for n in range(1000))),
    InvalidFields.of(*(FieldViolation("日" * 999, "\n" * 999) for _ in range(1000))),
]


@pytest.mark.parametrize("error", HUGE, ids=range(len(HUGE)))
def test_however_much_there_is_to_say_it_fits_the_trailers(error: CorralError) -> None:
    status = status_of(error)
    assert trailer_bytes(status) <= MAX_TRAILERS
    (info,) = details(status, error_details_pb2.ErrorInfo)
    assert info.reason == error.reason
    assert len(status.message) > 100


def test_what_is_cut_shows_it_and_stays_text() -> None:
    message = status_of(errors.ModelFailed("日" * 20_000)).message
    assert message.endswith("日...")


def test_a_dozen_bad_fields_are_all_named() -> None:
    violations = [FieldViolation(f"sampling.field_{n}", "must be 0 to 1, not 2") for n in range(12)]
    (bad,) = details(status_of(InvalidFields.of(*violations)), error_details_pb2.BadRequest)
    assert len(bad.field_violations) == 12
