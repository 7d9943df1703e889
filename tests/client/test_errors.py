"""Failed calls, through both clients, and the tree of errors."""

import pickle

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from grpc import RpcError, ServicerContext, StatusCode

import corral
from corral import CorralError, FieldViolation, aio
from corral.errors import BY_REASON
from corral.v1.error_reason_pb2 import ErrorReason

from .scripted_server import Answer, ScriptedServer, reason, refusal

pytestmark = pytest.mark.asyncio(loop_scope="session")

CODES = {
    "INVALID_FIELD": StatusCode.INVALID_ARGUMENT,
    "MALFORMED_REQUEST": StatusCode.INVALID_ARGUMENT,
    "CONTEXT_LENGTH_EXCEEDED": StatusCode.INVALID_ARGUMENT,
    "MODEL_NOT_FOUND": StatusCode.NOT_FOUND,
    "NO_DEFAULT_MODEL": StatusCode.FAILED_PRECONDITION,
    "MODEL_FAILED": StatusCode.FAILED_PRECONDITION,
    "MODEL_FILE_NOT_FOUND": StatusCode.NOT_FOUND,
    "MODEL_FILE_INVALID": StatusCode.FAILED_PRECONDITION,
    "MODEL_LOAD_FAILED": StatusCode.FAILED_PRECONDITION,
    "LOAD_CONFLICT": StatusCode.ALREADY_EXISTS,
    "MODEL_UNLOADED": StatusCode.ABORTED,
    "CAPABILITY_NOT_SUPPORTED": StatusCode.FAILED_PRECONDITION,
    "QUEUE_FULL": StatusCode.RESOURCE_EXHAUSTED,
    "ENGINE_RESTARTING": StatusCode.UNAVAILABLE,
    "SERVER_DRAINING": StatusCode.UNAVAILABLE,
    "CHAT_TEMPLATE_FAILED": StatusCode.FAILED_PRECONDITION,
    "SLOW_CONSUMER": StatusCode.RESOURCE_EXHAUSTED,
    "INTERNAL": StatusCode.INTERNAL,
    "DUPLICATE_REQUEST_ID": StatusCode.ALREADY_EXISTS,
    "INSUFFICIENT_MEMORY": StatusCode.RESOURCE_EXHAUSTED,
    "PATH_NOT_ALLOWED": StatusCode.PERMISSION_DENIED,
    "HUB_NOT_FOUND": StatusCode.NOT_FOUND,
    "HUB_ACCESS_DENIED": StatusCode.PERMISSION_DENIED,
    "HUB_UNAVAILABLE": StatusCode.UNAVAILABLE,
    "HUB_DATA_CORRUPT": StatusCode.DATA_LOSS,
    "DISK_FULL": StatusCode.RESOURCE_EXHAUSTED,
    "UNAUTHENTICATED": StatusCode.UNAUTHENTICATED,
    "DEADLINE_EXCEEDED": StatusCode.DEADLINE_EXCEEDED,
}


async def failure(client: aio.Client, server: ScriptedServer, answer: Answer) -> CorralError:
    """The error that `generate` raises where the server answers so."""
    server.answers["Generate"] = answer
    with pytest.raises(CorralError) as caught:
        await client.inference.generate("Once")
    assert isinstance(caught.value.__cause__, RpcError)
    return caught.value


async def test_every_reason_of_the_contract_has_a_class() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}
    assert BY_REASON.keys() == CODES.keys() == names - {"UNSPECIFIED"}


@pytest.mark.parametrize("name", CODES)
async def test_a_reason_raises_its_class(
    client: aio.Client, server: ScriptedServer, name: str
) -> None:
    answer = refusal(CODES[name], "it went wrong", reason(name, limit="8", request_id="r9"))
    error = await failure(client, server, answer)
    assert type(error) is BY_REASON[name]
    assert (error.code, error.reason) == (CODES[name], name)
    assert str(error) == error.message == "it went wrong"
    assert error.metadata == {"limit": "8", "request_id": "r9"}
    assert error.request_id == "r9"
    assert (error.fields, error.resource, error.retry_after_s) == ((), "", None)


async def test_bad_fields_are_named(client: aio.Client, server: ScriptedServer) -> None:
    bad = BadRequest()
    bad.field_violations.add(field="sampling.top_p", description="must be 0 to 1, is 3")
    bad.field_violations.add(field="prompt", description="is empty")
    answer = refusal(StatusCode.INVALID_ARGUMENT, "bad", reason("INVALID_FIELD"), bad)
    error = await failure(client, server, answer)
    assert error.fields == (
        FieldViolation("sampling.top_p", "must be 0 to 1, is 3"),
        FieldViolation("prompt", "is empty"),
    )


async def test_retry_delay_and_resource(client: aio.Client, server: ScriptedServer) -> None:
    answer = refusal(
        StatusCode.RESOURCE_EXHAUSTED,
        "full",
        reason("QUEUE_FULL"),
        RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
        ResourceInfo(resource_type="model", resource_name="demo"),
    )
    error = await failure(client, server, answer)
    assert (error.retry_after_s, error.resource) == (1.5, "demo")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (StatusCode.NOT_FOUND, corral.NotFound),
        (StatusCode.UNAVAILABLE, corral.Unavailable),
        (StatusCode.DATA_LOSS, corral.DataLoss),
        (StatusCode.OUT_OF_RANGE, CorralError),
    ],
)
async def test_a_newer_reason_raises_the_class_of_its_code(
    client: aio.Client, server: ScriptedServer, code: StatusCode, kind: type[CorralError]
) -> None:
    error = await failure(client, server, refusal(code, "new", reason("NEWER_THAN_US")))
    assert type(error) is kind
    assert error.reason == "NEWER_THAN_US"


async def test_details_of_others_are_not_ours(client: aio.Client, server: ScriptedServer) -> None:
    theirs = ErrorInfo(reason="MODEL_NOT_FOUND", domain="example.com")
    error = await failure(client, server, refusal(StatusCode.NOT_FOUND, "no", theirs))
    assert (type(error), error.reason, error.message) == (corral.NotFound, "", "no")


async def test_details_that_cannot_be_read_do_not_hide_the_error(
    client: aio.Client, server: ScriptedServer
) -> None:
    def answer(request: object, context: ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(StatusCode.ABORTED, "gone")

    error = await failure(client, server, answer)
    assert (type(error), error.message) == (corral.Aborted, "gone")


async def test_unavailable_is_tried_again(client: aio.Client, server: ScriptedServer) -> None:
    busy = refusal(StatusCode.UNAVAILABLE, "busy", reason("SERVER_DRAINING"))
    server.fail_first(2, "Generate", busy)
    server.fail_first(1, "GenerateStream", busy)
    assert (await client.inference.generate("Once")).text == "Hello world"
    assert len(server.requests) == 3
    stream = client.inference.generate_stream("Once")
    assert [delta.text async for delta in stream] == ["Hello", " world"]


async def test_other_failures_are_not_tried_again(
    client: aio.Client, server: ScriptedServer
) -> None:
    full = refusal(StatusCode.RESOURCE_EXHAUSTED, "full", reason("QUEUE_FULL"))
    await failure(client, server, full)
    assert len(server.requests) == 1


async def test_a_call_the_server_does_not_know(client: aio.Client, server: ScriptedServer) -> None:
    def answer(request: object, context: ServicerContext) -> None:
        context.abort(StatusCode.UNIMPLEMENTED, "Method not found!")

    assert "older than this client" in (await failure(client, server, answer)).message


async def test_the_hub_is_not_asked_again(client: aio.Client, server: ScriptedServer) -> None:
    gone = refusal(StatusCode.UNAVAILABLE, "no answer", reason("HUB_UNAVAILABLE"))
    server.answers |= {"SearchHub": gone, "ListHubFiles": gone, "PullModel": gone}
    for ask in (
        lambda: client.models.search_hub("small"),
        lambda: client.models.hub_files("ann/small"),
        lambda: client.models.pull("hf:ann/small:Q8_0"),
    ):
        with pytest.raises(corral.HubUnavailable):
            await ask()
    assert len(server.requests) == 3


@pytest.mark.parametrize("kind", ["sync", "aio"])
async def test_no_server_says_where_and_how_to_start_one(kind: str) -> None:
    address = "127.0.0.1:1"  # nothing listens on the first port
    expected = f"cannot reach a Corral server at {address} .*corral serve"
    if kind == "sync":
        with (
            corral.Client(address) as client,
            pytest.raises(corral.ServerUnreachable, match=expected),
        ):
            client.models.list()
    else:
        async with aio.Client(address) as asynchronous:
            with pytest.raises(corral.ServerUnreachable, match=expected):
                await asynchronous.models.list()


async def test_errors_survive_pickling() -> None:
    error = corral.QueueFull("full", reason="QUEUE_FULL", retry_after_s=1.0)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is corral.QueueFull
    assert (copy.message, copy.reason, copy.retry_after_s) == ("full", "QUEUE_FULL", 1.0)
