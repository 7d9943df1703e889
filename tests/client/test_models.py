"""The registry of models, through both clients."""

from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from corral import (
    CacheType,
    Capability,
    CorralError,
    FlashAttention,
    HubSource,
    LoadProgress,
    LoadStage,
    LoraAdapter,
    Mode,
    Model,
    ModelSource,
    Pooling,
    PulledModel,
    PullProgress,
    ResolveReason,
    RopeScaling,
    RopeScalingType,
    SamplingParams,
    SplitMode,
)
from corral.aio import Client
from corral.requests import ServingOptions
from corral.v1.model_manager_pb2 import (
    LoadModelRequest,
    LoadModelResponse,
    PredictMemoryRequest,
    PullModelResponse,
)
from corral.v1.model_pb2 import LoadOptions

from .scripted_server import FILES, MEMORY, MODEL, PREDICTION, PULLED, REPOS, ScriptedServer

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


async def test_load_takes_words_dicts_and_messages(client: Client, server: ScriptedServer) -> None:
    await client.models.load(
        "m",
        "hf:ann/small:Q8_0",
        capabilities=["embed", Capability.CAPABILITY_GENERATE],
        mode="server",
        aliases=["gpt", "small"],
        keep_alive=0,
        pinned=True,
        evict_idle=True,
        cache_type_k="q8_0",
        cache_type_v=CacheType.CACHE_TYPE_F32,
        flash_attention="on",
        split_mode="row",
        pooling="last",
        devices=["CUDA0"],
        tensor_split=[3, 1],
        use_mmap=False,
        rope={"type": "yarn", "freq_base": 10_000},
        lora=[{"path": Path("/a.gguf"), "scale": 0.5}, LoraAdapter(path="/b.gguf")],
        default_sampling={"temperature": 0},
        chat_template="{{ messages }}",
        step_target=0.02,
        prefix_cache=False,
        host_cache_bytes=2**30,
    )
    (request,) = server.requests
    expected = LoadModelRequest(
        id="m",
        source=ModelSource(hub=HubSource(repo="ann/small", quantization="Q8_0")),
        options=LoadOptions(
            cache_type_k=CacheType.CACHE_TYPE_Q8_0,
            cache_type_v=CacheType.CACHE_TYPE_F32,
            flash_attention=FlashAttention.FLASH_ATTENTION_ON,
            split_mode=SplitMode.SPLIT_MODE_ROW,
            pooling=Pooling.POOLING_LAST,
            devices=["CUDA0"],
            tensor_split=[3, 1],
            use_mmap=False,
            rope=RopeScaling(type=RopeScalingType.ROPE_SCALING_TYPE_YARN, freq_base=10_000),
            lora=[LoraAdapter(path="/a.gguf", scale=0.5), LoraAdapter(path="/b.gguf")],
            default_sampling=SamplingParams(temperature=0),
            chat_template="{{ messages }}",
            step_target=Duration(nanos=20_000_000),
            prefix_cache=False,
            host_cache_bytes=2**30,
        ),
        capabilities=[Capability.CAPABILITY_EMBED, Capability.CAPABILITY_GENERATE],
        mode=Mode.MODE_SERVER,
        aliases=["gpt", "small"],
        keep_alive=Duration(),
        pinned=True,
        evict_idle=True,
    )
    assert request == expected
    await client.models.load(
        "m",
        expected.source,
        rope=expected.options.rope,
        default_sampling=expected.options.default_sampling,
    )
    assert server.requests[1].options.rope == expected.options.rope
    assert server.requests[1].options.default_sampling == SamplingParams(temperature=0)
    assert not server.requests[1].HasField("keep_alive")


async def test_a_word_that_does_not_exist_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="'q9' is none of f32, f16, bf16, q8_0"):
        await client.models.load("m", "demo", cache_type_k="q9")  # type: ignore[arg-type]


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


async def test_resolve(client: Client, server: ScriptedServer) -> None:
    found = await client.models.resolve("gpt")
    assert (found.model, found.reason) == (MODEL, ResolveReason.RESOLVE_REASON_ALIAS)
    await client.models.resolve()
    assert [request.name for request in server.requests] == ["gpt", ""]


async def test_memory(client: Client) -> None:
    assert await client.models.memory() == MEMORY


async def test_predict_memory_asks_as_load_does(client: Client, server: ScriptedServer) -> None:
    options = ServingOptions(capabilities=["embed"], mode="direct", slots=2, pooling="mean")
    assert await client.models.predict_memory("demo", **options) == PREDICTION
    await client.models.load("m", "demo", **options)
    predicted, loaded = server.requests
    assert predicted == PredictMemoryRequest(
        source=loaded.source,
        options=loaded.options,
        mode=loaded.mode,
        capabilities=loaded.capabilities,
    )


async def test_pull_waits_for_the_file_and_reports_progress(
    client: Client, server: ScriptedServer
) -> None:
    seen: list[PullProgress] = []
    assert await client.models.pull("hf:ann/small:Q8_0", on_progress=seen.append) == PULLED
    assert [progress.done_bytes for progress in seen] == [2e8, 8e8]
    forced = HubSource(repo="ann/small", file="a.gguf", force=True)
    assert await client.models.pull(forced) == PULLED
    assert server.requests[0].source == HubSource(repo="ann/small", quantization="Q8_0")
    assert server.requests[1].source == forced


async def test_pull_events_end_with_the_file(client: Client, server: ScriptedServer) -> None:
    events = [event async for event in client.models.pull_events("hf:ann/small:Q8_0")]
    assert [type(event) for event in events] == [PullProgress, PullProgress, PulledModel]
    unknown = PullModelResponse.FromString(b"\x7a\x00")  # field 15, empty: of a newer server
    server.answers["PullModel"] = lambda *_: iter([unknown, PullModelResponse(pulled=PULLED)])
    assert await client.models.pull("hf:ann/small:Q8_0") == PULLED


async def test_pull_that_ends_without_a_file_is_an_error(
    client: Client, server: ScriptedServer
) -> None:
    server.answers["PullModel"] = lambda *_: iter(())
    with pytest.raises(CorralError, match="ended the download of hf:ann/small:Q8_0"):
        await client.models.pull("hf:ann/small:Q8_0")


async def test_the_hub(client: Client, server: ScriptedServer) -> None:
    assert list(await client.models.search_hub("small model")) == REPOS
    await client.models.search_hub("small", limit=3)
    assert list(await client.models.hub_files("ann/small", revision="v1")) == FILES
    first, second, files = server.requests
    assert first.query == "small model" and not first.HasField("limit")
    assert second.limit == 3
    assert (files.repo, files.revision) == ("ann/small", "v1")
