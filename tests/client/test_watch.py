"""Following the models, through both clients."""

import asyncio

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from grpc import StatusCode

import corral
from corral import (
    DeadlineExceeded,
    ServerDraining,
    ServerUnreachable,
    SlowConsumer,
    aio,
)
from corral.v1.model_manager_pb2 import (
    DefaultChanged,
    ModelRemoved,
    ModelsSnapshot,
    WatchModelsResponse,
)

from .awaited import awaited
from .conftest import QUICK
from .scripted_server import (
    MODEL,
    OVER,
    Answer,
    ScriptedServer,
    changes,
    messages_then,
    reason,
    refusal,
    run_scripted_server,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

SNAPSHOT = ModelsSnapshot(models=[MODEL])
STOPPING = refusal(StatusCode.UNAVAILABLE, "stopping", reason("SERVER_DRAINING"))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for half in ("sync", "aio"):
        monkeypatch.setattr(f"corral.{half}.watch.RECONNECT_PAUSE_S", 0.001)


def in_turn(*answers: Answer) -> Answer:
    """Answers each call with the next of these."""
    left = iter(answers)
    return lambda request, context: next(left)(request, context)


async def first(number: int, watch: aio.ModelWatch) -> list[WatchModelsResponse]:
    """The first messages of a watch that goes on."""
    async with watch:
        return [await anext(watch) for _ in range(number)]


async def test_all_there_is_then_every_change(client: aio.Client, server: ScriptedServer) -> None:
    seen = await first(2, client.models.watch())
    assert [change.WhichOneof("event") for change in seen] == ["snapshot", "removed"]
    (request,) = server.requests
    assert (request.HasField("after_sequence"), request.instance_id) == (False, "")


async def test_a_message_can_be_gone_on_from(client: aio.Client, server: ScriptedServer) -> None:
    (last,) = changes(SNAPSHOT, after=6, instance="i9")
    await first(1, client.models.watch(after=last))
    (request,) = server.requests
    assert (request.after_sequence, request.instance_id) == (7, "i9")


async def test_a_lost_connection_is_taken_up_after_the_last_message(
    client: aio.Client, server: ScriptedServer
) -> None:
    server.answers["WatchModels"] = in_turn(
        messages_then(changes(SNAPSHOT, ModelRemoved(id="a")), STOPPING),
        messages_then([], STOPPING),
        messages_then(changes(DefaultChanged(id="b"), after=2), OVER),
    )
    assert [change.sequence for change in await first(3, client.models.watch())] == [1, 2, 3]
    begun, *others = server.requests
    assert not begun.HasField("after_sequence")
    assert {(again.after_sequence, again.instance_id) for again in others} == {(2, "i1")}


async def test_a_call_that_the_server_ends_is_taken_up_too(
    client: aio.Client, server: ScriptedServer
) -> None:
    server.answers["WatchModels"] = in_turn(
        lambda *_: iter(changes(SNAPSHOT)), lambda *_: iter(changes(SNAPSHOT, after=1))
    )
    assert [change.sequence for change in await first(2, client.models.watch())] == [1, 2]


async def test_a_call_that_ends_without_a_message_is_over(
    client: aio.Client, server: ScriptedServer
) -> None:
    server.answers["WatchModels"] = lambda *_: iter(())
    assert [change async for change in client.models.watch()] == []


async def test_it_waits_as_long_as_the_server_says(
    client: aio.Client, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for half in ("sync", "aio"):
        monkeypatch.setattr(f"corral.{half}.watch.RECONNECT_PAUSE_S", 60)
    soon = RetryInfo(retry_delay=Duration(nanos=1_000_000))
    busy = refusal(StatusCode.UNAVAILABLE, "stopping", reason("SERVER_DRAINING"), soon)
    server.answers["WatchModels"] = in_turn(
        messages_then(changes(SNAPSHOT), busy),
        messages_then(changes(SNAPSHOT, after=1), OVER),
    )
    assert [change.sequence for change in await first(2, client.models.watch())] == [1, 2]


async def test_a_server_that_does_not_answer_at_first_is_an_error(
    client: aio.Client, server: ScriptedServer
) -> None:
    server.answers["WatchModels"] = STOPPING
    with pytest.raises(ServerDraining):
        async for _ in client.models.watch():
            pass


async def test_other_errors_end_it(client: aio.Client, server: ScriptedServer) -> None:
    slow = refusal(StatusCode.RESOURCE_EXHAUSTED, "too slow", reason("SLOW_CONSUMER"))
    server.answers["WatchModels"] = messages_then(changes(SNAPSHOT), slow)
    seen = []
    with pytest.raises(SlowConsumer):
        async for change in client.models.watch():
            seen.append(change.sequence)
    assert seen == [1]


async def test_leaving_the_block_cancels(client: aio.Client, server: ScriptedServer) -> None:
    server.answers["WatchModels"] = server.send_and_stall(changes(SNAPSHOT))
    async with client.models.watch() as watch:
        async for _ in watch:
            break
    assert await asyncio.to_thread(server.cancelled.wait, 5)


async def test_cancel_ends_the_loop_without_an_error(
    client: aio.Client, server: ScriptedServer
) -> None:
    server.answers["WatchModels"] = server.send_and_stall(changes(SNAPSHOT))
    watch = client.models.watch()
    async for _ in watch:
        watch.cancel()
    assert await asyncio.to_thread(server.cancelled.wait, 5)


async def test_cancel_ends_it_while_there_is_no_connection(
    client: aio.Client, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for half in ("sync", "aio"):
        monkeypatch.setattr(f"corral.{half}.watch.RECONNECT_PAUSE_S", 60)
    server.answers["WatchModels"] = messages_then(changes(SNAPSHOT), STOPPING)
    watch = client.models.watch()
    async for _ in watch:
        watch.cancel()


async def test_timeout_is_for_the_whole(client: aio.Client, server: ScriptedServer) -> None:
    server.answers["WatchModels"] = in_turn(
        messages_then(changes(SNAPSHOT), STOPPING), server.send_and_stall([])
    )
    with pytest.raises(DeadlineExceeded):
        async for _ in client.models.watch(timeout=0.2):
            pass


@pytest.mark.parametrize("kind", ["sync", "aio"])
async def test_a_server_that_comes_back_is_found(kind: str) -> None:
    quick = {"grpc.initial_reconnect_backoff_ms": 50, "grpc.min_reconnect_backoff_ms": 50}
    with run_scripted_server() as gone:
        address = gone.address
        gone.answers["WatchModels"] = gone.send_and_stall(changes(SNAPSHOT))
        client = (
            awaited(corral.Client(address, options=quick))
            if kind == "sync"
            else aio.Client(address, options=quick)
        )
        watch = client.models.watch(timeout=20)
        assert (await anext(watch)).instance_id == "i1"
    with run_scripted_server(address) as back:
        back.answers["WatchModels"] = lambda *_: iter(changes(SNAPSHOT, instance="i2"))
        assert (await anext(watch)).instance_id == "i2"
        assert back.requests[0].instance_id == "i1"
        await client.close()


async def test_no_server_is_an_error_at_once() -> None:
    address = "127.0.0.1:1"  # nothing listens on the first port
    async with aio.Client(address, options=QUICK) as client:
        with pytest.raises(ServerUnreachable):
            await anext(client.models.watch())
    with corral.Client(address, options=QUICK) as blocking, pytest.raises(ServerUnreachable):
        next(blocking.models.watch())
