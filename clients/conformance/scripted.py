"""Two servers that answer by script: one of a later version, and one that fails.

Messages are sent as bytes, so that they can hold what no stub of today knows.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from corral.v1 import chat_pb2, model_pb2, usage_pb2
from corral.v1 import inference_pb2 as inf
from corral.v1 import model_manager_pb2 as mm

# Takes a request and the call; returns the bytes of a message, or of several for a stream.
Answer: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]

_INFERENCE = "corral.v1.Inference"
_MANAGER = "corral.v1.ModelManager"
_UNKNOWN = 99  # a value no enum of today has


@contextmanager
def future_server() -> Iterator[str]:
    """A server of a later version; the context is its address."""
    answers: dict[str, dict[str, tuple[type[Message], Answer]]] = {
        _INFERENCE: {
            "Generate": (inf.GenerateRequest, _future_generate),
            "GenerateStream": (inf.GenerateStreamRequest, _future_generate_stream),
            "Chat": (inf.ChatRequest, _future_chat),
        },
        _MANAGER: {
            "ListModels": (mm.ListModelsRequest, _future_list),
            "LoadModel": (mm.LoadModelRequest, _future_load),
            "WatchModels": (mm.WatchModelsRequest, _future_watch),
        },
    }
    with _serving(answers) as address:
        yield address


@contextmanager
def flaky_server() -> Iterator[str]:
    """A server that fails as the request's `model` says; the context is its address."""
    flaky = _Flaky()
    answers: dict[str, dict[str, tuple[type[Message], Answer]]] = {
        _INFERENCE: {
            "Generate": (inf.GenerateRequest, flaky.generate),
            "GenerateStream": (inf.GenerateStreamRequest, flaky.generate_stream),
        }
    }
    with _serving(answers) as address:
        yield address


@contextmanager
def _serving(services: dict[str, dict[str, tuple[type[Message], Answer]]]) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    for service, answers in services.items():
        handlers = {
            name: _handler(name, request, answer) for name, (request, answer) in answers.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(5)


def _handler(
    name: str, request: type[Message], answer: Answer
) -> "grpc.RpcMethodHandler[Any, Any]":
    streams = name.endswith("Stream") or name in ("LoadModel", "WatchModels")
    make = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
    return make(answer, request_deserializer=request.FromString)


# -- a later version ----------------------------------------------------------

# Field 1000, a varint, and field 1001, a text: in no message of today.
_NEW_FIELDS = b"\xc0\x3e\x2a\xca\x3e\x03new"


def _newer(message: Message) -> bytes:
    """The message with new fields, in it and in every message it holds. It has no maps."""
    _renew(message)
    return message.SerializeToString()


def _renew(message: Message) -> None:
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for held in value if field.is_repeated else [value]:
                _renew(held)
    message.MergeFromString(_NEW_FIELDS)


# An arm 900, a message with a text in field 1.
_NEW_ARM = b"\xa2\x38\x05\x0a\x03new"

_TEXT = ("from", " the", " future")


def _finished() -> inf.Finished:
    usage = usage_pb2.Usage(prompt_tokens=1, completion_tokens=3, total_tokens=4)
    return inf.Finished(reason=_UNKNOWN, usage=usage)  # type: ignore[arg-type]


def _future_generate(request: inf.GenerateRequest, _: grpc.ServicerContext) -> bytes:
    return _newer(
        inf.GenerateResponse(
            request_id="future", model="future", text="".join(_TEXT), finished=_finished()
        )
    )


def _future_generate_stream(
    request: inf.GenerateStreamRequest, _: grpc.ServicerContext
) -> Iterator[bytes]:
    started = inf.Started(request_id="future", model="future", prompt_tokens=1)
    yield _newer(inf.GenerateStreamResponse(started=started))
    yield _NEW_ARM
    for count, text in enumerate(_TEXT, 1):
        delta = inf.Delta(text=text, completion_tokens=count)
        yield _newer(inf.GenerateStreamResponse(delta=delta))
        yield _NEW_ARM
    yield _newer(inf.GenerateStreamResponse(finished=_finished()))


def _future_chat(request: inf.ChatRequest, call: grpc.ServicerContext) -> NoReturn:
    _refuse(
        call,
        grpc.StatusCode.FAILED_PRECONDITION,
        "not yet invented",
        error_details_pb2.ErrorInfo(
            reason="SOMETHING_NEW", domain="corral", metadata={"answer": "42"}
        ),
        chat_pb2.Message(content="a detail of a type no client looks for"),
    )


def _future_model() -> model_pb2.Model:
    return model_pb2.Model(
        id="future",
        state=_UNKNOWN,  # type: ignore[arg-type]
        source=model_pb2.ModelSource(demo=model_pb2.DemoSource()),
        capabilities=[
            model_pb2.CAPABILITY_GENERATE,
            model_pb2.CAPABILITY_CHAT,
            _UNKNOWN,  # type: ignore[list-item]
        ],
        facts=model_pb2.ModelFacts(architecture="llama", context_size=2048),
    )


def _future_list(request: mm.ListModelsRequest, _: grpc.ServicerContext) -> bytes:
    return _newer(mm.ListModelsResponse(models=[_future_model()]))


def _future_load(request: mm.LoadModelRequest, _: grpc.ServicerContext) -> Iterator[bytes]:
    for stage in (mm.LOAD_STAGE_PROBING, _UNKNOWN, mm.LOAD_STAGE_WARMING):
        progress = mm.LoadProgress(stage=stage, fraction=0.5)  # type: ignore[arg-type]
        yield _newer(mm.LoadModelResponse(progress=progress))
        yield _NEW_ARM
    yield _newer(mm.LoadModelResponse(model=_future_model()))


def _future_watch(request: mm.WatchModelsRequest, _: grpc.ServicerContext) -> Iterator[bytes]:
    snapshot = mm.ModelsSnapshot(models=[_future_model()])
    events = (
        mm.WatchModelsResponse(sequence=1, instance_id="future", snapshot=snapshot),
        mm.WatchModelsResponse(sequence=2, instance_id="future"),
        mm.WatchModelsResponse(
            sequence=3, instance_id="future", removed=mm.ModelRemoved(id="future")
        ),
    )
    for event in events:
        unknown_arm = b"" if event.WhichOneof("event") else _NEW_ARM
        yield _newer(event) + unknown_arm


# -- one that fails -----------------------------------------------------------


class _Flaky:
    """Counts attempts by request_id."""

    def __init__(self) -> None:
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def generate(self, request: inf.GenerateRequest, call: grpc.ServicerContext) -> bytes:
        attempt = self._attempt(request, call)
        return inf.GenerateResponse(
            request_id=request.request_id, model=request.model, text=f"attempt {attempt}"
        ).SerializeToString()

    def generate_stream(
        self, request: inf.GenerateStreamRequest, call: grpc.ServicerContext
    ) -> Iterator[bytes]:
        attempt = self._attempt(request, call)
        midway = request.model == "fails-midway"
        text = "half" if midway else f"attempt {attempt}"
        started = inf.Started(request_id=request.request_id, model=request.model)
        delta = inf.Delta(text=text, completion_tokens=1)
        yield inf.GenerateStreamResponse(started=started).SerializeToString()
        yield inf.GenerateStreamResponse(delta=delta).SerializeToString()
        if midway:
            _unavailable(call, "ENGINE_RESTARTING", attempt, 0.05)
        finished = inf.Finished(reason=usage_pb2.FINISH_REASON_EOS)
        yield inf.GenerateStreamResponse(finished=finished).SerializeToString()

    def _attempt(self, request: Any, call: grpc.ServicerContext) -> int:
        """The number of this attempt; or fails as the model says."""
        with self._lock:
            self._attempts[request.request_id] += 1
            attempt = self._attempts[request.request_id]
        match request.model:
            case "unavailable-twice" if attempt <= 2:
                _unavailable(call, "ENGINE_RESTARTING", attempt, 0.25)
            case "unavailable-always":
                _unavailable(call, "ENGINE_RESTARTING", attempt, 0.05)
            case "hub-unavailable":
                _unavailable(call, "HUB_UNAVAILABLE", attempt, 0.05)
            case "queue-full":
                code = grpc.StatusCode.RESOURCE_EXHAUSTED
                _refuse(call, code, "too many wait", *_details("QUEUE_FULL", attempt, 1.5))
        return attempt


def _unavailable(
    call: grpc.ServicerContext, reason: str, attempt: int, retry_after_s: float
) -> NoReturn:
    """As a server of ours: it also tells gRPC's own retries when, and that the Hub is no use."""
    pushback_ms = -1 if reason == "HUB_UNAVAILABLE" else round(retry_after_s * 1000)
    _refuse(
        call,
        grpc.StatusCode.UNAVAILABLE,
        f"attempt {attempt} fails",
        *_details(reason, attempt, retry_after_s),
        trailers=(("grpc-retry-pushback-ms", str(pushback_ms)),),
    )


def _details(reason: str, attempt: int, retry_after_s: float) -> tuple[Message, ...]:
    delay = Duration()
    delay.FromNanoseconds(int(retry_after_s * 1e9))
    return (
        error_details_pb2.ErrorInfo(
            reason=reason, domain="corral", metadata={"attempt": str(attempt)}
        ),
        error_details_pb2.RetryInfo(retry_delay=delay),
    )


def _refuse(
    call: grpc.ServicerContext,
    code: grpc.StatusCode,
    message: str,
    *details: Message,
    trailers: tuple[tuple[str, str], ...] = (),
) -> NoReturn:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    rich = ("grpc-status-details-bin", status.SerializeToString())
    call.set_trailing_metadata((rich, *trailers))
    call.abort(code, message)
    raise AssertionError("abort always raises")
