"""The ModelManager and Server services through gRPC, with fake engines."""

import asyncio
import os
import signal
import time
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from corral.v1 import inference_pb2, model_pb2, server_pb2
from corral.v1 import model_manager_pb2 as pb
from corral_server.errors import ModelFileInvalid
from corral_server.ipc.messages import Failure
from corral_server.models.entry import ModelEntry, ModelState
from fake_engine import MakeSpec, Prompts
from rpc.service import Service, last, refusal

pytestmark = pytest.mark.asyncio


def load_request(service: Service, id: str = "m", **script: Any) -> pb.LoadModelRequest:
    return pb.LoadModelRequest(id=id, source=service.source(id, **script))


async def get(service: Service, id: str = "m") -> model_pb2.Model:
    answer = await service.models.GetModel(pb.GetModelRequest(id=id))
    model: model_pb2.Model = answer.model
    return model


# LoadModel.


async def test_a_load_tells_its_progress_and_then_the_model(service: Service) -> None:
    call = service.models.LoadModel(load_request(service, progress=(0.25, 1.0)))
    events = [event async for event in call]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["progress"] * (len(events) - 1) + ["model"]
    stages = [event.progress.stage for event in events[:-1]]
    assert stages[0] == pb.LOAD_STAGE_PROBING and stages == sorted(stages)


async def test_a_loaded_model_is_described(service: Service) -> None:
    source = service.source("m")
    options = model_pb2.LoadOptions(slots=2, context_size=512)
    request = pb.LoadModelRequest(
        id="m",
        source=source,
        options=options,
        capabilities=[model_pb2.CAPABILITY_CHAT],
        make_default=True,
    )
    model = (await last(service.models.LoadModel(request))).model
    assert (model.id, model.state, model.is_default) == ("m", model_pb2.MODEL_STATE_READY, True)
    assert model.source == source
    assert (model.options.slots, model.options.context_size) == (2, 512)
    assert (model.options.batch_size, model.options.HasField("threads")) == (512, False)
    assert list(model.capabilities) == [model_pb2.CAPABILITY_CHAT]
    assert not model.HasField("error") and not model.HasField("last_used_at")
    assert model.HasField("loaded_at")


async def test_the_facts_of_a_loaded_model_are_told(service: Service) -> None:
    facts = (await service.load()).facts
    assert (facts.architecture, facts.name, facts.quantization) == ("fake", "Fake", "F32")
    assert (facts.parameter_count, facts.file_bytes) == (12e9, 2.0**40)
    assert (facts.vocab_size, facts.embedding_size, facts.trained_context) == (256, 32, 100)
    assert (facts.context_size, facts.sequence_limit, facts.slots) == (800, 100, 8)
    assert (facts.memory_bytes, facts.has_chat_template) == (2.0**33, True)


async def test_a_second_load_answers_at_once(service: Service) -> None:
    await service.load()
    events = [event async for event in service.models.LoadModel(load_request(service))]
    assert [event.WhichOneof("event") for event in events] == ["model"]


async def test_another_specification_is_a_conflict(service: Service) -> None:
    await service.load()
    request = load_request(service)
    request.options.slots = 3
    refused = await refusal(last(service.models.LoadModel(request)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "LOAD_CONFLICT")


async def test_a_failed_load_tells_the_reason_and_the_model_shows_it(service: Service) -> None:
    failure = Failure.of(ModelFileInvalid("it is cut short", bytes=7))
    refused = await refusal(service.load(at_probe="fail", failure=failure))
    assert (refused.code, refused.reason, refused.message) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_FILE_INVALID",
        "it is cut short",
    )
    assert refused.info.metadata["bytes"] == "7"
    model = await get(service)
    assert model.state == model_pb2.MODEL_STATE_FAILED
    assert (model.error.reason, model.error.message) == ("MODEL_FILE_INVALID", "it is cut short")


async def test_a_missing_file_is_not_found(service: Service) -> None:
    request = load_request(service)
    (service.directory / "m.json").unlink()
    refused = await refusal(last(service.models.LoadModel(request)))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.NOT_FOUND,
        "MODEL_FILE_NOT_FOUND",
    )


async def test_leaving_a_load_does_not_end_it(service: Service) -> None:
    gate = service.directory / "gate"
    os.mkfifo(gate)
    call = service.models.LoadModel(load_request(service, at_load="wait", gate=str(gate)))
    await call.read()
    call.cancel()
    await asyncio.to_thread(gate.write_bytes, b"open")
    entry = service.registry.resolve("m")
    await entry.until(lambda: entry.state is ModelState.READY)


async def test_bad_fields_of_a_load_are_named(service: Service) -> None:
    request = pb.LoadModelRequest(id="a b", options=model_pb2.LoadOptions(slots=0))
    refused = await refusal(last(service.models.LoadModel(request)))
    assert refused.reason == "INVALID_FIELD"
    assert set(refused.violations) == {"id", "source", "options.slots"}


async def test_names_and_manners_of_a_model_are_told(service: Service) -> None:
    request = load_request(service)
    request.aliases[:] = ["x", "y"]
    request.keep_alive.FromSeconds(3600)
    request.mode = model_pb2.MODE_DIRECT
    model = (await last(service.models.LoadModel(request))).model
    assert (list(model.aliases), model.mode) == (["x", "y"], model_pb2.MODE_DIRECT)
    assert (model.keep_alive.seconds, model.pinned, model.on_demand) == (3600, False, False)
    left_s = model.expires_at.ToNanoseconds() / 1e9 - time.time()
    assert 3500 < left_s < 3601


async def test_a_model_in_use_does_not_expire(service: Service) -> None:
    request = load_request(service)
    request.keep_alive.FromSeconds(3600)
    await last(service.models.LoadModel(request))
    stream = inference_pb2.GenerateStreamRequest(model="m", prompt=Prompts.HOLD)
    call = service.inference.GenerateStream(stream)
    await call.read()
    assert not (await get(service)).HasField("expires_at")


async def test_a_pinned_model_says_so(service: Service) -> None:
    request = load_request(service)
    request.pinned = True
    model = (await last(service.models.LoadModel(request))).model
    assert (model.pinned, model.HasField("keep_alive"), model.HasField("expires_at")) == (
        True,
        False,
        False,
    )


async def test_a_model_that_is_idle_for_too_long_goes(service: Service) -> None:
    request = load_request(service)
    request.keep_alive.FromMilliseconds(20)
    entry = await _loaded(service, request)
    async with asyncio.timeout(5):
        await entry.until(lambda: entry.state is ModelState.UNLOADED)
    assert (await refusal(get(service))).reason == "MODEL_NOT_FOUND"


async def _loaded(service: Service, request: pb.LoadModelRequest) -> ModelEntry:
    await last(service.models.LoadModel(request))
    return service.registry.resolve(request.id)


async def test_a_name_that_is_taken_is_a_conflict(service: Service) -> None:
    await service.load()
    request = load_request(service, "n")
    request.aliases[:] = ["m"]
    refused = await refusal(last(service.models.LoadModel(request)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "LOAD_CONFLICT")
    assert refused.info.metadata["name"] == "m"


# UnloadModel.


async def test_an_unload_tells_what_is_left(service: Service) -> None:
    for id in ("c", "a", "b"):
        await service.load(id)
    answer = await service.models.UnloadModel(pb.UnloadModelRequest(id="b"))
    assert list(answer.remaining_ids) == ["a", "c"]


async def test_an_unload_returns_when_the_process_is_gone(service: Service) -> None:
    await service.load()
    engine = service.registry.resolve("m").engine
    assert engine is not None
    await service.models.UnloadModel(pb.UnloadModelRequest(id="m"))
    with pytest.raises(ProcessLookupError):
        os.kill(engine.pid, 0)


async def test_an_unload_of_an_unknown_id_is_not_found(service: Service) -> None:
    refused = await refusal(service.models.UnloadModel(pb.UnloadModelRequest(id="m")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_an_alias_does_not_unload_a_model(service: Service) -> None:
    request = load_request(service)
    request.aliases[:] = ["x"]
    await last(service.models.LoadModel(request))
    refused = await refusal(service.models.UnloadModel(pb.UnloadModelRequest(id="x")))
    assert refused.reason == "MODEL_NOT_FOUND"
    assert (await get(service, "x")).state == model_pb2.MODEL_STATE_READY


async def test_an_unload_must_name_the_model_even_if_there_is_a_default(service: Service) -> None:
    await service.load()
    refused = await refusal(service.models.UnloadModel(pb.UnloadModelRequest()))
    assert set(refused.violations) == {"id"}
    assert (await get(service)).state == model_pb2.MODEL_STATE_READY


@pytest.mark.parametrize(
    "how", [{"force": True}, {"drain_timeout": Duration(nanos=1_000_000)}], ids=["force", "timeout"]
)
async def test_an_unload_ends_calls_as_it_is_told(service: Service, how: dict[str, Any]) -> None:
    await service.load()
    request = inference_pb2.GenerateStreamRequest(prompt=Prompts.HOLD)
    call = service.inference.GenerateStream(request)
    await call.read()
    await service.models.UnloadModel(pb.UnloadModelRequest(id="m", **how))
    assert (await refusal(last(call))).reason == "MODEL_UNLOADED"


async def test_an_unload_ends_a_load_and_both_are_told(service: Service) -> None:
    loading = service.models.LoadModel(load_request(service, at_load="stall"))
    await loading.read()
    await service.models.UnloadModel(pb.UnloadModelRequest(id="m"))
    assert (await refusal(last(loading))).reason == "MODEL_UNLOADED"
    assert list((await service.models.ListModels(pb.ListModelsRequest())).models) == []


# What is there.


async def test_models_are_listed_by_their_ids(service: Service) -> None:
    await service.load("b")
    await refusal(service.load("a", at_load="fail"))
    models = (await service.models.ListModels(pb.ListModelsRequest())).models
    assert [(model.id, model.state) for model in models] == [
        ("a", model_pb2.MODEL_STATE_FAILED),
        ("b", model_pb2.MODEL_STATE_READY),
    ]


async def test_a_model_is_described_by_name_or_as_the_default(service: Service) -> None:
    await service.load("a", default=False)
    await service.load("b")
    assert (await get(service, "a")).id == "a"
    assert (await get(service, "")).id == "b"


async def test_an_unknown_model_is_not_found(service: Service) -> None:
    refused = await refusal(get(service, "m"))
    assert (refused.reason, refused.resource) == ("MODEL_NOT_FOUND", "m")


async def test_running_calls_and_the_last_use_show(service: Service) -> None:
    await service.load()
    request = inference_pb2.GenerateStreamRequest(prompt=Prompts.HOLD)
    call = service.inference.GenerateStream(request)
    await call.read()
    model = await get(service)
    assert model.active_requests == 1 and model.HasField("last_used_at")
    call.cancel()
    await service.registry.resolve("m").drained()
    assert (await get(service)).active_requests == 0


async def test_a_restart_shows(service: Service) -> None:
    await service.load()
    entry = service.registry.resolve("m")
    assert entry.engine is not None
    gate = service.directory / "gate"
    os.mkfifo(gate)
    service.source("m", at_load="wait", gate=str(gate))
    os.kill(entry.engine.pid, signal.SIGKILL)
    await entry.until(lambda: entry.state is ModelState.RESTARTING)
    assert (await get(service)).state == model_pb2.MODEL_STATE_RESTARTING
    await asyncio.to_thread(gate.write_bytes, b"open")
    await entry.until(lambda: entry.state is ModelState.READY)
    model = await get(service)
    assert (model.state, model.restarts) == (model_pb2.MODEL_STATE_READY, 1)


async def test_a_drain_shows(service: Service) -> None:
    await service.load()
    request = inference_pb2.GenerateStreamRequest(prompt=Prompts.HOLD)
    await service.inference.GenerateStream(request).read()
    unloading = asyncio.ensure_future(service.models.UnloadModel(pb.UnloadModelRequest(id="m")))
    entry = service.registry.resolve("m")
    await entry.until(lambda: entry.state is ModelState.DRAINING)
    assert (await get(service)).state == model_pb2.MODEL_STATE_DRAINING
    await service.models.UnloadModel(pb.UnloadModelRequest(id="m", force=True))
    await unloading


# The default.


async def test_the_default_is_set_and_described(service: Service) -> None:
    await service.load("a")
    await service.load("b", default=False)
    answer = await service.models.SetDefaultModel(pb.SetDefaultModelRequest(id="b"))
    assert (answer.model.id, answer.model.is_default) == ("b", True)
    default = await service.models.GetDefaultModel(pb.GetDefaultModelRequest())
    assert default.model.id == "b"
    assert not (await get(service, "a")).is_default


async def test_without_a_default_there_is_none_to_describe(service: Service) -> None:
    await service.load(default=False)
    refused = await refusal(service.models.GetDefaultModel(pb.GetDefaultModelRequest()))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_DEFAULT_MODEL",
    )


async def test_a_default_must_be_named(service: Service) -> None:
    refused = await refusal(service.models.SetDefaultModel(pb.SetDefaultModelRequest()))
    assert set(refused.violations) == {"id"}


async def test_a_failed_model_cannot_be_the_default(service: Service) -> None:
    await refusal(service.load(at_load="fail"))
    refused = await refusal(service.models.SetDefaultModel(pb.SetDefaultModelRequest(id="m")))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_FAILED",
    )


# ResolveModel.


async def resolve(service: Service, name: str) -> tuple[str, Any, bool]:
    answer = await service.models.ResolveModel(pb.ResolveModelRequest(name=name))
    return answer.model.id, answer.reason, answer.would_load


async def test_a_name_leads_to_its_model_and_says_why(service: Service) -> None:
    request = load_request(service)
    request.aliases[:] = ["x"]
    request.make_default = True
    await last(service.models.LoadModel(request))
    assert await resolve(service, "m") == ("m", pb.RESOLVE_REASON_ID, False)
    assert await resolve(service, "x") == ("m", pb.RESOLVE_REASON_ALIAS, False)
    assert await resolve(service, "") == ("m", pb.RESOLVE_REASON_DEFAULT, False)


async def test_a_model_on_demand_would_be_loaded_and_is_not(
    service: Service, make_spec: MakeSpec
) -> None:
    service.registry.declare(make_spec(), make_default=True)
    assert await resolve(service, "m") == ("m", pb.RESOLVE_REASON_ID, True)
    assert await resolve(service, "") == ("m", pb.RESOLVE_REASON_DEFAULT, True)
    model = await get(service)
    assert (model.state, model.on_demand) == (model_pb2.MODEL_STATE_NOT_LOADED, True)
    await service.inference.Generate(inference_pb2.GenerateRequest(prompt="hi"))
    assert await resolve(service, "m") == ("m", pb.RESOLVE_REASON_ID, False)


async def test_a_name_that_leads_nowhere_is_refused(service: Service) -> None:
    assert (await refusal(resolve(service, "m"))).reason == "MODEL_NOT_FOUND"
    assert (await refusal(resolve(service, ""))).reason == "NO_DEFAULT_MODEL"


async def test_a_call_goes_where_its_alias_leads(service: Service) -> None:
    request = load_request(service)
    request.aliases[:] = ["x"]
    await last(service.models.LoadModel(request))
    asked = inference_pb2.GenerateRequest(model="x", prompt="hi")
    assert (await service.inference.Generate(asked)).model == "m"


# While another model is loading.


async def test_lookups_and_routing_go_on_while_a_load_stalls(service: Service) -> None:
    await service.load("ready")
    stalled = service.models.LoadModel(load_request(service, "slow", at_load="stall"))
    while (await stalled.read()).progress.stage != pb.LOAD_STAGE_LOADING:
        pass
    asked = inference_pb2.GenerateRequest(prompt="hi")
    async with asyncio.timeout(10):
        for _ in range(50):
            listed = await service.models.ListModels(pb.ListModelsRequest())
            assert [model.id for model in listed.models] == ["ready", "slow"]
            assert (await get(service, "slow")).state == model_pb2.MODEL_STATE_LOADING
            assert await resolve(service, "slow") == ("slow", pb.RESOLVE_REASON_ID, False)
            assert (await service.inference.Generate(asked)).model == "ready"
    stalled.cancel()


# The server itself.


async def test_the_server_describes_itself(service: Service) -> None:
    first = await service.info.GetServerInfo(server_pb2.GetServerInfoRequest())
    again = await service.info.GetServerInfo(server_pb2.GetServerInfoRequest())
    assert first == again
    assert list(first.api_versions) == ["corral.v1"]
    assert first.version and first.llama_cpp_python_version and first.instance_id
    assert (first.max_request_bytes, first.HasField("started_at")) == (16 * 2**20, True)


async def test_a_message_over_the_limit_is_refused_by_the_transport(service: Service) -> None:
    request = inference_pb2.TokenizeRequest(text="x" * (16 * 2**20))
    refused = await refusal(service.inference.Tokenize(request))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
