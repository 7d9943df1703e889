"""The life of a whole server, with fake engines."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

import fake_engine
from corral.v1 import inference_pb2, inference_pb2_grpc, model_manager_pb2, model_manager_pb2_grpc
from corral_server import log
from corral_server.app import App
from corral_server.config import ModelSpec, ServerConfig
from corral_server.errors import CannotListen, ModelFileInvalid
from corral_server.models.engine_process import EngineProcess
from corral_server.models.engines import Engines
from fake_engine import MakeSpec, Prompts, text_of
from watch import running_engines

pytestmark = pytest.mark.asyncio

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
INFERENCE = health_pb2.HealthCheckRequest(service="corral.v1.Inference")


def make_app(*specs: ModelSpec, spare: EngineProcess | None = None, **config: Any) -> App:
    given: dict[str, Any] = {"address": "127.0.0.1:0", "models": specs} | config
    return App(ServerConfig(**given), Engines(fake_engine.COMMAND, spare))


class Client:
    """What a caller has of a server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.inference: Any = inference_pb2_grpc.InferenceStub(channel)
        self.models: Any = model_manager_pb2_grpc.ModelManagerStub(channel)
        self.health: Any = health_pb2_grpc.HealthStub(channel)

    async def generate(self, prompt: str = "hi", model: str = "") -> str:
        request = inference_pb2.GenerateRequest(prompt=prompt, model=model)
        answer = await self.inference.Generate(request)
        text: str = answer.text
        return text

    async def hold(self) -> Any:
        """A stream that has begun, and goes on until it is ended."""
        request = inference_pb2.GenerateStreamRequest(prompt=Prompts.HOLD)
        call = self.inference.GenerateStream(request)
        await call.read()
        return call

    async def is_healthy(self) -> bool:
        return bool((await self.health.Check(INFERENCE)).status == SERVING)


@pytest_asyncio.fixture
async def app(make_spec: MakeSpec) -> AsyncIterator[App]:
    """A server whose model is there."""
    app = make_app(make_spec(), default_model="m")
    await app.start()
    assert await app.loaded() == []
    yield app
    await app.stop(0)
    assert running_engines() == []


@pytest_asyncio.fixture
async def client(app: App) -> AsyncIterator[Client]:
    async with grpc.aio.insecure_channel(app.address) as channel:
        yield Client(channel)


async def finish(app: App) -> None:
    """Lets all streams on hold finish."""
    engine = app.registry.resolve("m").engine
    assert engine is not None
    await engine.tokenize(Prompts.FINISH, add_special=False, parse_special=False)


async def test_a_server_serves_its_models_and_its_default(app: App, client: Client) -> None:
    assert await client.generate() == text_of(3)


async def test_it_listens_and_answers_while_its_models_load(make_spec: MakeSpec) -> None:
    app = make_app(make_spec(at_load="stall"))
    await app.start()
    loaded = asyncio.create_task(app.loaded())
    async with grpc.aio.insecure_channel(app.address) as channel:
        client = Client(channel)
        (model,) = (await client.models.ListModels(model_manager_pb2.ListModelsRequest())).models
        assert (model.id, await client.is_healthy()) == ("m", False)
        assert not loaded.done()
    await app.stop(0)
    (error,) = await loaded
    assert error is not None
    assert running_engines() == []


async def test_the_first_model_is_loaded_by_the_engine_that_is_there_already(
    make_spec: MakeSpec,
) -> None:
    spare = EngineProcess.start(fake_engine.COMMAND)
    app = make_app(make_spec(), spare=spare)
    await app.start()
    assert await app.loaded() == []
    assert running_engines() == [spare.pid]
    await app.stop(0)
    assert running_engines() == []


async def test_where_no_model_is_loaded_at_first_no_engine_waits_for_one(
    make_spec: MakeSpec,
) -> None:
    spare = EngineProcess.start(fake_engine.COMMAND)
    app = make_app(on_demand=(make_spec(),), spare=spare)
    await app.start()
    assert running_engines() == []
    await app.stop(0)


async def test_a_model_that_cannot_be_loaded_leaves_the_others_serving(
    make_spec: MakeSpec,
) -> None:
    app = make_app(make_spec("bad", at_load="fail"), make_spec("good"), default_model="good")
    await app.start()
    (error,) = await app.loaded()
    assert isinstance(error, ModelFileInvalid)
    async with grpc.aio.insecure_channel(app.address) as channel:
        client = Client(channel)
        assert await client.generate() == text_of(3)
        assert await client.is_healthy()
    await app.stop(0)


async def test_an_address_in_use_cannot_be_listened_on(app: App, make_spec: MakeSpec) -> None:
    second = make_app(make_spec("other"), address=app.address)
    with pytest.raises(CannotListen, match=app.address):
        await second.start()
    assert second.registry.entries() == []


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "nonsense", "256.0.0.1:1"])
async def test_an_address_that_is_none_cannot_be_listened_on(address: str) -> None:
    with pytest.raises(CannotListen, match=address):
        await make_app(address=address).start()


async def test_a_stop_lets_running_calls_finish(app: App, client: Client) -> None:
    call = await client.hold()
    stopping = asyncio.create_task(app.stop(60))
    await asyncio.sleep(0)
    await finish(app)
    kinds = []
    while (event := await call.read()) is not grpc.aio.EOF:
        kinds.append(event.WhichOneof("event"))
    assert kinds[-1] == "finished"
    await stopping
    assert running_engines() == []


async def test_a_stop_ends_calls_when_its_grace_is_over(app: App, client: Client) -> None:
    call = await client.hold()
    async with asyncio.timeout(10):
        await app.stop(0.01)
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        while await call.read() is not grpc.aio.EOF:
            pass


async def test_a_stopping_server_takes_no_new_calls(app: App, client: Client) -> None:
    await client.hold()
    stopping = asyncio.create_task(app.stop(60))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.generate()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "the server is stopping"
    await finish(app)
    await stopping


async def test_health_tells_the_stop_before_anything_ends(app: App, client: Client) -> None:
    watch = client.health.Watch(INFERENCE)
    assert (await watch.read()).status == SERVING
    call = await client.hold()
    stopping = asyncio.create_task(app.stop(60))
    assert (await watch.read()).status == NOT_SERVING
    assert not call.done() and len(running_engines()) == 1
    await finish(app)
    await stopping


async def test_a_second_stop_without_grace_hurries_the_first(app: App, client: Client) -> None:
    await client.hold()
    first = asyncio.create_task(app.stop(60))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await app.stop(0)
        await first


async def test_a_stop_during_a_load_ends_it(make_spec: MakeSpec) -> None:
    app = make_app(make_spec(at_load="stall"))
    await app.start()
    async with asyncio.timeout(10):
        await app.stop(60)
    assert running_engines() == []


async def test_a_server_may_start_with_no_models() -> None:
    app = make_app()
    await app.start()
    assert await app.loaded() == []
    await app.stop(0)


async def test_a_configured_drain_timeout_is_the_default_of_unloads(make_spec: MakeSpec) -> None:
    app = make_app(make_spec(), default_model="m", drain_timeout_s=0.0)
    await app.start()
    await app.loaded()
    async with grpc.aio.insecure_channel(app.address) as channel:
        client = Client(channel)
        await client.hold()
        async with asyncio.timeout(10):
            await client.models.UnloadModel(model_manager_pb2.UnloadModelRequest(id="m"))
    await app.stop(0)


async def test_two_models_of_one_specification_have_an_engine_each(make_spec: MakeSpec) -> None:
    spec = make_spec()
    app = make_app(spec, replace(spec, id="n"))
    await app.start()
    await app.loaded()
    assert len(running_engines()) == 2
    await app.stop(0)


async def test_a_name_in_a_log_line_cannot_forge_another_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        log.set_up("info")
        logging.getLogger("corral.call").info("model=%s", "a\nERROR forged \x1b[31m")
        (line,) = capsys.readouterr().err.splitlines()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert r"model=a\nERROR forged \x1b[31m" in line
