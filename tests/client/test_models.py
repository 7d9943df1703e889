"""The registry of models, through both clients."""

from pathlib import Path

import pytest

from corral import Capability, CorralError, LoadProgress, LoadStage, Model
from corral.aio import Client
from corral.v1.model_manager_pb2 import LoadModelResponse

from .scripted_server import MODEL, ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_load_waits_for_the_model_and_reports_progress(
    client: Client, server: ScriptedServer
) -> None:
    seen: list[LoadProgress] = []
    assert await client.models.load("demo", "demo", on_progress=seen.append) == MODEL
    assert [progress.fraction for progress in seen] == [0.5, 1.0] * 3
    assert seen[0].stage == LoadStage.LOAD_STAGE_PROBING
    assert seen[-1].stage == LoadStage.LOAD_STAGE_WARMING


async def test_load_sends_what_was_given_and_nothing_else(
    client: Client, server: ScriptedServer
) -> None:
    await client.models.load(
        "m",
        Path("/models/m.gguf"),
        make_default=True,
        capabilities=[Capability.CAPABILITY_CHAT],
        context_size=512,
        max_waiting=0,
    )
    (request,) = server.requests
    assert (request.id, request.make_default) == ("m", True)
    assert request.source.path == "/models/m.gguf"
    assert list(request.capabilities) == [Capability.CAPABILITY_CHAT]
    assert {field.name: value for field, value in request.options.ListFields()} == {
        "context_size": 512,
        "max_waiting": 0,
    }


async def test_load_events_end_with_the_model(client: Client) -> None:
    events = [event async for event in client.models.load_events("demo", "demo")]
    assert [type(event) for event in events] == [LoadProgress] * 6 + [Model]


async def test_load_events_of_a_newer_server_are_skipped(
    client: Client, server: ScriptedServer
) -> None:
    unknown = LoadModelResponse.FromString(b"\x7a\x00")  # field 15, empty
    server.answers["LoadModel"] = lambda *_: iter([unknown, LoadModelResponse(model=MODEL)])
    assert await client.models.load("demo", "demo") == MODEL


async def test_load_that_ends_without_a_model_is_an_error(
    client: Client, server: ScriptedServer
) -> None:
    server.answers["LoadModel"] = lambda *_: iter(())
    with pytest.raises(CorralError, match="ended the load of demo"):
        await client.models.load("demo", "demo")


async def test_unload_returns_the_remaining_ids(client: Client, server: ScriptedServer) -> None:
    assert await client.models.unload("demo") == ["a", "b"]
    assert not server.requests[0].HasField("drain_timeout")


async def test_unload_sends_a_timeout_of_zero(client: Client, server: ScriptedServer) -> None:
    await client.models.unload("demo", drain_timeout=0, force=True)
    await client.models.unload("demo", drain_timeout=1.5)
    first, second = server.requests
    assert first.HasField("drain_timeout") and first.force
    assert second.drain_timeout.ToMilliseconds() == 1500


async def test_list_get_and_defaults(client: Client, server: ScriptedServer) -> None:
    assert [model.id for model in await client.models.list()] == ["demo", "torn"]
    assert await client.models.get() == MODEL
    assert await client.models.get("demo") == MODEL
    assert await client.models.set_default("demo") == MODEL
    assert await client.models.get_default() == MODEL
    assert [request.id for request in server.requests[1:4]] == ["", "demo", "demo"]
