"""The edge of a call: what a handler raises comes out as a status, and nothing else does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corral.v1.inference_pb2 import GenerateRequest
from corral.v1.model_manager_pb2 import UnloadModelRequest
from corral_server.errors import InternalError, ModelNotFound
from corral_server.rpc.call import Call
from corral_server.rpc.interceptor import EdgeInterceptor
from rpc.service import Refusal, Service, refusal
from watch import settled

pytestmark = pytest.mark.asyncio

SECRET = "a prompt nobody may see"
KINDS = ("Unary", "Stream")


class Handlers:
    """A servicer as ours are, which does what it is asked."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.interceptor = EdgeInterceptor()
        self.channel: Any = None

    async def unary(self, request: StringValue, call: Call) -> StringValue:
        await self._act(request.value, call)
        return request

    async def stream(self, request: StringValue, call: Call) -> AsyncIterator[StringValue]:
        yield request
        await self._act(request.value, call)
        yield request

    async def _act(self, what: str, call: Call) -> None:
        call.notes["request_id"] = "r1"
        match what:
            case "raise":
                raise ValueError(SECRET)
            case "refuse":
                raise ModelNotFound("no such model", model="m")
            case "fault":
                raise InternalError("the engine spoke nonsense")
            case "cancel itself":
                inner = asyncio.create_task(asyncio.Event().wait())
                inner.cancel()
                await inner
            case "hold":
                self.started.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled.set()
                    raise

    def begin(self, kind: str, raw: bytes) -> Any:
        make = self.channel.unary_unary if kind == "Unary" else self.channel.unary_stream
        return make(f"/corral.test.Test/{kind}")(raw)

    async def call(self, kind: str, what: str) -> list[StringValue]:
        return await read(self.begin(kind, StringValue(value=what).SerializeToString()))


async def read(call: Any) -> list[StringValue]:
    raws = [raw async for raw in call] if hasattr(call, "read") else [await call]
    return [StringValue.FromString(raw) for raw in raws]


@pytest_asyncio.fixture
async def handlers() -> AsyncIterator[Handlers]:
    handlers = Handlers()
    codec: Any = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    unary: Any = handlers.unary  # they take a Call, which the interceptor sees to
    stream: Any = handlers.stream
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary, **codec),
        "Stream": grpc.unary_stream_rpc_method_handler(stream, **codec),
    }
    server = grpc.aio.server(interceptors=(handlers.interceptor,))
    generic = grpc.method_handlers_generic_handler("corral.test.Test", methods)
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        handlers.channel = channel
        yield handlers
    await server.stop(0)


async def refused(handlers: Handlers, kind: str, what: str) -> Refusal:
    async with asyncio.timeout(5):
        return await refusal(handlers.call(kind, what))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_good_call_passes(handlers: Handlers, kind: str) -> None:
    answers = await handlers.call(kind, "answer")
    assert answers == [StringValue(value="answer")] * (1 if kind == "Unary" else 2)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_of_ours_becomes_its_status(handlers: Handlers, kind: str) -> None:
    refusal = await refused(handlers, kind, "refuse")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    assert (refusal.message, refusal.resource) == ("no such model", "m")


@pytest.mark.parametrize("kind", KINDS)
async def test_any_other_error_is_internal_logged_and_not_shown(
    handlers: Handlers, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = await refused(handlers, kind, "raise")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert SECRET not in refusal.message
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.levelno == logging.ERROR


@pytest.mark.parametrize("what", ["raise", "fault", "cancel itself"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_names_the_request(handlers: Handlers, kind: str, what: str) -> None:
    refusal = await refused(handlers, kind, what)
    assert refusal.reason == "INTERNAL"
    assert refusal.info.metadata["request_id"] == "r1"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancellation_born_inside_is_a_status_and_not_a_hang(
    handlers: Handlers, kind: str
) -> None:
    refusal = await refused(handlers, kind, "cancel itself")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x02\xc3\x28", b"\x0a\x7f"])
@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_that_are_no_message_are_the_callers_fault(
    handlers: Handlers, kind: str, raw: bytes
) -> None:
    refused = await refusal(read(handlers.begin(kind, raw)))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_draining_server_takes_no_calls_and_says_when_to_come_back(
    handlers: Handlers, kind: str
) -> None:
    handlers.interceptor.draining = True
    refusal = await refused(handlers, kind, "answer")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert refusal.retry_after_s == 1.0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_callers_cancel_reaches_the_handler(
    handlers: Handlers, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "corral.call")
    call = handlers.begin(kind, StringValue(value="hold").SerializeToString())
    reading = asyncio.create_task(read(call))
    await handlers.started.wait()
    call.cancel()
    async with asyncio.timeout(5):
        await handlers.cancelled.wait()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await settled(lambda: f"Test/{kind} CANCELLED " in caplog.text)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_reaches_the_handler(handlers: Handlers, kind: str) -> None:
    make = handlers.channel.unary_unary if kind == "Unary" else handlers.channel.unary_stream
    raw = StringValue(value="hold").SerializeToString()
    call = make(f"/corral.test.Test/{kind}")(raw, timeout=0.3)
    assert (await refusal(read(call))).code is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(5):
        await handlers.cancelled.wait()


@pytest.mark.parametrize(("what", "outcome"), [("answer", "OK"), ("refuse", "MODEL_NOT_FOUND")])
@pytest.mark.parametrize("kind", KINDS)
async def test_every_call_leaves_one_line(
    handlers: Handlers, kind: str, what: str, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "corral.call")
    try:
        await handlers.call(kind, what)
    except grpc.aio.AioRpcError:
        assert what == "refuse"
    (record,) = [record for record in caplog.records if record.name == "corral.call"]
    line = record.getMessage()
    assert line.startswith(f"Test/{kind} {outcome} ") and "request_id=r1" in line
    assert "peer=ipv4:127.0.0.1" in line


async def test_a_line_names_the_request_and_counts_its_tokens_but_shows_no_text(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await service.load()
    caplog.clear()
    await service.inference.Generate(GenerateRequest(prompt=SECRET, request_id="r7", max_tokens=2))
    (record,) = [record for record in caplog.records if record.name == "corral.call"]
    line = record.getMessage()
    assert line.startswith("Inference/Generate OK ")
    assert "request_id=r7 model=m prompt_tokens=3 completion_tokens=2" in line
    assert SECRET not in caplog.text and "1 2 " not in caplog.text


async def test_a_name_of_a_megabyte_does_not_fill_the_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await refusal(service.models.UnloadModel(UnloadModelRequest(id="x" * 1_000_000)))
    assert len(caplog.text) < 1000


async def test_other_services_pass_untouched(service: Service) -> None:
    service.server.refuse()
    stub: Any = health_pb2_grpc.HealthStub(service.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
