"""Errors keep all they say on their way between two processes."""

from typing import Any

import pytest

from corral_server.errors import BY_REASON, CorralError, FieldViolation, InternalError
from corral_server.ipc.messages import Failure

DETAILS: dict[str, Any] = {
    "violations": (FieldViolation("sampling.top_p", "must be 0 to 1"), FieldViolation("id", "no")),
    "retry_after_s": 1.5,
}


@pytest.mark.parametrize("kind", BY_REASON.values())
def test_an_error_comes_back_as_it_was(kind: type[CorralError]) -> None:
    error = kind("what went wrong: é", **DETAILS, limit=7, model="qwen3")
    back = Failure.of(error).error()
    assert type(back) is kind
    assert vars(back) == vars(error)
    assert str(back) == "what went wrong: é"


def test_an_error_without_details_comes_back_without() -> None:
    back = Failure.of(InternalError("x")).error()
    assert (back.violations, back.retry_after_s, back.metadata) == ((), None, {})


def test_an_error_of_a_reason_unknown_here_is_internal() -> None:
    failure = Failure(
        reason="FROM_THE_FUTURE",
        message="x",
        violations=(),
        retry_after_s=None,
        metadata={"a": "1"},
    )
    back = failure.error()
    assert type(back) is InternalError
    assert (back.message, back.metadata) == ("x", {"a": "1"})


def test_every_error_has_its_own_reason() -> None:
    assert len(BY_REASON) == len(CorralError.__subclasses__())
