"""Cases that a server of today refuses."""

import time
from collections.abc import Mapping

from conformance.case import (
    TIMEOUT_S,
    Case,
    S,
    equal,
    expect,
    flaky,
    fresh_id,
    plain,
    poll_until_idle,
    refused,
)
from corral import ModelState

MEGABYTE = 1 << 20


def deadline() -> str:
    with plain() as client:
        began = time.monotonic()
        with refused() as refusal:
            client.inference.generate(
                S, max_tokens=2000, ignore_eos=True, temperature=0, timeout=0.3
            )
        took_s = time.monotonic() - began
        equal(refusal.error.code.name, "DEADLINE_EXCEEDED", "code")
        expect(0.2 <= took_s <= 3, "0.2 s to 3 s", took_s)
        poll_until_idle(client)
    return f"after {took_s:.2f} s"


def prompt_of_one_megabyte() -> str:
    prompt = ("corral " * MEGABYTE)[:MEGABYTE]
    with plain() as client:
        counted = client.inference.count_tokens(prompt, timeout=TIMEOUT_S).tokens
        expect(counted > 100_000, "more than 100,000 tokens", counted)
        with refused() as refusal:
            client.inference.generate(prompt, temperature=0, timeout=TIMEOUT_S)
    refusal.has(
        "INVALID_ARGUMENT", "CONTEXT_LENGTH_EXCEEDED", prompt_tokens=str(counted), limit="2047"
    )
    return f"{counted} tokens"


def error_invalid_field() -> str:
    with plain() as client, refused() as refusal:
        client.inference.generate("a", max_tokens=0, temperature=-1, top_p=3, timeout=TIMEOUT_S)
    refusal.has("INVALID_ARGUMENT", "INVALID_FIELD")
    fields = sorted(field for field, _ in refusal.error.fields)
    equal(fields, ["max_tokens", "sampling.temperature", "sampling.top_p"], "fields")
    expect(all(why for _, why in refusal.error.fields), "why", refusal.error.fields)
    return "; ".join(fields)


def error_model_not_found() -> str:
    with plain() as client, refused() as refusal:
        client.inference.generate("a", model="nobody", timeout=TIMEOUT_S)
    refusal.has("NOT_FOUND", "MODEL_NOT_FOUND", model="nobody")
    expect("nobody" in refusal.error.message, "the name in the message", refusal.error.message)
    return refusal.error.message


def error_capability_not_supported() -> str:
    with plain() as client, refused() as refusal:
        client.inference.embed("a", model="text", timeout=TIMEOUT_S)
    refusal.has("FAILED_PRECONDITION", "CAPABILITY_NOT_SUPPORTED", model="text", capability="EMBED")
    return refusal.error.message


def error_load_conflict() -> str:
    with plain() as client, refused() as refusal:
        client.models.load("text", "demo", slots=3, timeout=TIMEOUT_S)
    refusal.has("ALREADY_EXISTS", "LOAD_CONFLICT", model="text")
    return refusal.error.message


def error_model_file_not_found() -> str:
    with plain() as client:
        with refused() as refusal:
            client.models.load("gone", "/nonexistent/corral.gguf", timeout=TIMEOUT_S)
        refusal.has("NOT_FOUND", "MODEL_FILE_NOT_FOUND")
        gone = next(model for model in client.models.list() if model.id == "gone")
        client.models.unload("gone", timeout=TIMEOUT_S)
    equal(gone.state, ModelState.MODEL_STATE_FAILED, "state")
    equal(gone.error.reason, "MODEL_FILE_NOT_FOUND", "reason in the list")
    return refusal.error.message


def error_queue_full() -> str:
    with flaky() as client, refused() as refusal:
        client.inference.generate("a", model="queue-full", request_id=fresh_id(), timeout=TIMEOUT_S)
    refusal.has("RESOURCE_EXHAUSTED", "QUEUE_FULL", attempt="1")
    equal(refusal.error.retry_after_s, 1.5, "retry_after_s")
    return f"come back in {refusal.error.retry_after_s} s"


CASES: Mapping[str, Case] = {
    "deadline": deadline,
    "prompt_of_one_megabyte": prompt_of_one_megabyte,
    "error_invalid_field": error_invalid_field,
    "error_model_not_found": error_model_not_found,
    "error_capability_not_supported": error_capability_not_supported,
    "error_load_conflict": error_load_conflict,
    "error_model_file_not_found": error_model_file_not_found,
    "error_queue_full": error_queue_full,
}
