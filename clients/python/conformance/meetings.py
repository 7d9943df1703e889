"""Cases with a server that is newer, fails for a while, wants a token, or changes meanwhile."""

import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from conformance.case import (
    TIMEOUT_S,
    Case,
    S,
    equal,
    expect,
    flaky,
    fresh_id,
    future,
    plain,
    refused,
    secure,
)
from corral import Capability, LoadProgress, LoadStage, ModelState, user

UNKNOWN = 99
LATEST_S = 10.0
TOPICS = (
    "chat", "embedding", "error_reason", "inference", "model", "model_manager", "sampling",
    "server", "tokenization", "usage",
)  # fmt: skip


def unknown_enum_value() -> str:
    with future() as client:
        answer = client.inference.generate("a", timeout=TIMEOUT_S)
        equal(answer.text, "from the future", "text")
        equal(answer.finished.reason, UNKNOWN, "reason")
        (model,) = client.models.list(timeout=TIMEOUT_S)
        equal((model.id, model.state), ("future", UNKNOWN), "id and state")
        known = [Capability.CAPABILITY_GENERATE, Capability.CAPABILITY_CHAT]
        equal(list(model.capabilities)[:2], known, "capabilities")
        with refused() as refusal:
            client.inference.chat([user("a")], timeout=TIMEOUT_S)
    refusal.has("FAILED_PRECONDITION", "SOMETHING_NEW", answer="42")
    equal(refusal.error.message, "not yet invented", "message")
    return f"{type(refusal.error).__name__} {refusal.error.reason}"


def unknown_oneof_arm() -> str:
    with future() as client:
        stream = client.inference.generate_stream("a", timeout=TIMEOUT_S)
        equal("".join(map(str, stream)), "from the future", "text")
        expect(stream.finished is not None, "finished")
        equal(client.models.load("future", "demo", timeout=TIMEOUT_S).id, "future", "model")
        with client.models.watch(timeout=TIMEOUT_S) as changes:
            first, second, third = (next(changes) for _ in range(3))
    equal([model.id for model in first.snapshot.models], ["future"], "snapshot")
    equal(second.WhichOneof("event"), None, "arm")
    equal(third.removed.id, "future", "removed")
    return "passed over"


def retry_honours_retry_info() -> str:
    with flaky() as client:
        began = time.monotonic()
        answer = client.inference.generate(
            "a", model="unavailable-twice", request_id=fresh_id(), timeout=TIMEOUT_S
        )
        unary_s = _took(began)
        equal(answer.text, "attempt 3", "text")
        began = time.monotonic()
        stream = client.inference.generate_stream(
            "a", model="unavailable-twice", request_id=fresh_id(), timeout=TIMEOUT_S
        )
        equal("".join(map(str, stream)), "attempt 3", "text of the stream")
        stream_s = _took(began)
        with refused() as refusal:
            client.inference.generate(
                "a", model="unavailable-always", request_id=fresh_id(), timeout=TIMEOUT_S
            )
    refusal.has("UNAVAILABLE", "ENGINE_RESTARTING", attempt="4")
    equal(refusal.error.retry_after_s, 0.05, "retry_after_s")
    return f"after {unary_s:.2f} s and {stream_s:.2f} s"


def _took(began: float) -> float:
    took_s = time.monotonic() - began
    expect(0.45 <= took_s <= LATEST_S, "0.45 s to 10 s", took_s)
    return took_s


def no_retry_where_unsafe() -> str:
    texts: list[str] = []
    with flaky() as client:
        with refused() as midway:
            texts.extend(
                map(
                    str,
                    client.inference.generate_stream(
                        "a", model="fails-midway", request_id=fresh_id(), timeout=TIMEOUT_S
                    ),
                )
            )
        with refused() as hub:
            client.inference.generate(
                "a", model="hub-unavailable", request_id=fresh_id(), timeout=TIMEOUT_S
            )
    equal(texts, ["half"], "deltas")
    midway.has("UNAVAILABLE", "ENGINE_RESTARTING", attempt="1")
    hub.has("UNAVAILABLE", "HUB_UNAVAILABLE", attempt="1")
    equal(hub.error.retry_after_s, 0.05, "retry_after_s")
    return "one attempt each"


def tls_and_token() -> str:
    with secure(os.environ["CORRAL_TLS_TOKEN"]) as client:
        answer = client.inference.generate(S, max_tokens=4, temperature=0, timeout=TIMEOUT_S)
        stream = client.inference.generate_stream(S, max_tokens=4, temperature=0, timeout=TIMEOUT_S)
        equal("".join(map(str, stream)), answer.text, "text of the stream")
    expect(answer.text.startswith(" small"), "a small lamb", answer.text)
    return repr(answer.text)


def token_refused() -> str:
    right = os.environ["CORRAL_TLS_TOKEN"]
    with secure("") as nobody, secure("wrong") as stranger:
        calls = (
            lambda: nobody.inference.generate(S, timeout=TIMEOUT_S),
            lambda: stranger.inference.generate(S, timeout=TIMEOUT_S),
            lambda: list(stranger.inference.generate_stream(S, timeout=TIMEOUT_S)),
        )
        for call in calls:
            with refused() as refusal:
                call()
            refusal.has("UNAUTHENTICATED", "UNAUTHENTICATED")
            told = refusal.error.message
            expect("wrong" not in told and right not in told, "no token in the message", told)
    return refusal.error.message


def model_lifecycle() -> str:
    steps: list[LoadProgress] = []
    with plain() as client, client.models.watch(timeout=TIMEOUT_S) as changes:
        ids = {model.id for model in next(changes).snapshot.models}
        expect(ids >= {"demo", "text"}, "demo and text", ids)
        second = client.models.load(
            "second", "demo", slots=2, aliases=["spare"], on_progress=steps.append,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        stages = list(dict.fromkeys(LoadStage.Name(step.stage) for step in steps))
        equal(stages, [f"LOAD_STAGE_{n}" for n in ("PROBING", "LOADING", "WARMING")], "stages")
        expect(all(0 <= step.fraction <= 1 for step in steps), "fractions of 1", steps)
        equal(second.state, ModelState.MODEL_STATE_READY, "state")
        equal(second.facts.slots, 2, "slots")
        expect("second" in [model.id for model in client.models.list()], "it in the list")
        answer = client.inference.generate("Hi", model="spare", max_tokens=4, timeout=TIMEOUT_S)
        equal(answer.proto.model, "second", "model of the answer")
        remaining = client.models.unload("second", timeout=TIMEOUT_S)
        expect({"demo", "text"} <= set(remaining), "demo and text left", remaining)
        expect("second" not in remaining, "second gone", remaining)
        was_ready = False
        for change in changes:
            ready = change.changed.state == ModelState.MODEL_STATE_READY
            was_ready |= change.changed.id == "second" and ready
            if change.removed.id == "second":
                break
        expect(was_ready, "second told to be ready before it was removed")
        with refused() as refusal:
            client.inference.generate("Hi", model="second", timeout=TIMEOUT_S)
    refusal.has("NOT_FOUND", "MODEL_NOT_FOUND", model="second")
    return f"{len(steps)} steps of progress"


def golden_bytes() -> str:
    for topic in TOPICS:
        import_module(f"corral.v1.{topic}_pb2")
    paths = sorted(Path(os.environ["CORRAL_GOLDEN"]).glob("*.binpb"))
    expect(len(paths) >= 60, "at least 60 files", len(paths))
    for path in paths:
        name = ".".join(path.name.split(".")[:3])
        kind = GetMessageClass(Default().FindMessageTypeByName(name))
        raw = path.read_bytes()
        again = kind.FromString(raw).SerializeToString(deterministic=True)
        expect(again == raw, f"the same bytes of {path.name}", again.hex())
    return f"{len(paths)} files"


CASES: Mapping[str, Case] = {
    "unknown_enum_value": unknown_enum_value,
    "unknown_oneof_arm": unknown_oneof_arm,
    "retry_honours_retry_info": retry_honours_retry_info,
    "no_retry_where_unsafe": no_retry_where_unsafe,
    "tls_and_token": tls_and_token,
    "token_refused": token_refused,
    "model_lifecycle": model_lifecycle,
    "golden_bytes": golden_bytes,
}
