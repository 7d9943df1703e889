"""The Hub's calls of ModelManager through gRPC, against a Hub on loopback."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
import pytest_asyncio

import fake_engine
import fake_hub
from corral.v1 import inference_pb2, model_pb2
from corral.v1 import model_manager_pb2 as pb
from corral_server.config import HubConfig
from corral_server.models.engines import Engines
from corral_server.models.hub import Hub
from corral_server.models.registry import ModelRegistry
from fake_engine import QUICK
from fake_hub import FakeHub, Fault
from hub.case import CONTENT, FILE, REPO, RETRIES, SHARDS, hub_processes
from rpc.service import Service, last, refusal, serving
from watch import running_engines, settled

pytestmark = pytest.mark.asyncio

# A model that the fake engine loads; the others are bytes.
MODEL = "fake-F16.gguf"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    model = msgspec.json.encode(fake_engine.Script(ram_bytes=7))
    with fake_hub.running() as hub:
        hub.add(REPO, {FILE: CONTENT, MODEL: model, "README.md": b"# tiny", **SHARDS})
        yield hub


@pytest_asyncio.fixture
async def online(fake: FakeHub, tmp_path: Path) -> AsyncIterator[Service]:
    """A server with `fake` for its Hub, and nothing in its cache."""
    config = HubConfig(endpoint=fake.url, cache_dir=str(tmp_path / "cache"), stall_s=20.0)
    registry = ModelRegistry(
        engines=Engines(fake_engine.COMMAND), timeouts=QUICK, hub=Hub(config, retries=RETRIES)
    )
    async with serving(registry, tmp_path) as service:
        yield service
    fake.release()
    await registry.close()
    assert (hub_processes(), running_engines()) == ([], [])


def source(**fields: Any) -> model_pb2.HubSource:
    given: dict[str, Any] = {"repo": REPO} | fields
    return model_pb2.HubSource(**given)


def pull(service: Service, **fields: Any) -> Any:
    return service.models.PullModel(pb.PullModelRequest(source=source(**fields)))


def content(path: str) -> bytes:
    return Path(path).read_bytes()


async def test_repositories_are_found(online: Service) -> None:
    answer = await online.models.SearchHub(pb.SearchHubRequest(query="tiny"))
    assert [repo.repo for repo in answer.repos] == [REPO]


async def test_a_search_keeps_to_its_bounds(online: Service) -> None:
    for limit in (0, 101):
        refused = await refusal(online.models.SearchHub(pb.SearchHubRequest(limit=limit)))
        assert set(refused.violations) == {"limit"}


async def test_the_models_of_a_repository_are_listed(online: Service) -> None:
    answer = await online.models.ListHubFiles(pb.ListHubFilesRequest(repo=REPO))
    assert {file.file: (file.size_bytes, file.quantization, file.shards) for file in answer.files}[
        FILE
    ] == (len(CONTENT), "Q8_0", 1)
    assert [file.shards for file in answer.files] == [1, 3, 1]
    sizes = [file.size_bytes for file in answer.files]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.ListHubFilesRequest(), "INVALID_FIELD"),
        (pb.ListHubFilesRequest(repo="../etc"), "INVALID_FIELD"),
        (pb.ListHubFilesRequest(repo=REPO, revision="none"), "HUB_NOT_FOUND"),
        (pb.ListHubFilesRequest(repo="someone/none"), "HUB_NOT_FOUND"),
    ],
    ids=["none", "no name", "no revision", "no repository"],
)
async def test_what_is_not_there_cannot_be_listed(
    online: Service, request_: Any, reason: str
) -> None:
    assert (await refusal(online.models.ListHubFiles(request_))).reason == reason


async def test_a_download_tells_how_far_it_is_and_where_the_model_lies(
    online: Service, fake: FakeHub
) -> None:
    events = [event async for event in pull(online, file=FILE)]
    *steps, end = events
    assert all(step.HasField("progress") for step in steps)
    done = [step.progress.done_bytes for step in steps]
    assert done == sorted(done) and done[-1] == steps[-1].progress.total_bytes == len(CONTENT)
    assert content(end.pulled.path) == CONTENT
    assert (end.pulled.size_bytes, end.pulled.commit) == (
        len(CONTENT),
        fake.repos[REPO].refs["main"],
    )


async def test_what_is_in_the_cache_is_not_downloaded_again(online: Service, fake: FakeHub) -> None:
    first = (await last(pull(online, file=FILE))).pulled
    fake.behave()
    assert (await last(pull(online, file=FILE))).pulled == first
    assert fake.content_requests == []


async def test_a_download_goes_on_when_its_caller_leaves(online: Service, fake: FakeHub) -> None:
    fake.misbehave("/blobs/|/resolve/.*Q8", Fault(hold_at=100_000), times=2)
    call = pull(online, file=FILE)
    await call.read()
    call.cancel()
    fake.release()
    async with asyncio.timeout(20):
        assert (await last(pull(online, file=FILE))).pulled.size_bytes == len(CONTENT)


async def test_bad_names_of_a_download_are_named(online: Service) -> None:
    refused = await refusal(last(pull(online, repo="x", file="y.bin")))
    assert set(refused.violations) == {"source.repo", "source.file"}


async def test_a_file_that_is_not_there_cannot_be_downloaded(online: Service) -> None:
    refused = await refusal(last(pull(online, quantization="Q2_K")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "HUB_NOT_FOUND")


async def test_a_load_downloads_first_and_says_so(online: Service, fake: FakeHub) -> None:
    size = len(fake.repos[REPO].commits[fake.repos[REPO].refs["main"]][MODEL])
    request = pb.LoadModelRequest(id="m", source={"hub": source(quantization="F16")})
    events = [event async for event in online.models.LoadModel(request)]
    steps = [event.progress for event in events[:-1]]
    downloading = [step for step in steps if step.stage == pb.LOAD_STAGE_DOWNLOADING]
    assert steps[: len(downloading)] == downloading != []
    assert (downloading[-1].fraction, downloading[-1].done_bytes) == (1.0, size)
    assert all(step.total_bytes == 0 for step in steps[len(downloading) :])
    model = events[-1].model
    assert model.state == model_pb2.MODEL_STATE_READY
    assert (model.source.hub.quantization, model.source.hub.revision) == ("F16", "main")
    asked = inference_pb2.GenerateRequest(model="m", prompt="hi")
    assert (await online.inference.Generate(asked)).model == "m"


async def test_a_load_whose_download_fails_tells_why(online: Service) -> None:
    request = pb.LoadModelRequest(id="m", source={"hub": source(file="none.gguf")})
    assert (await refusal(last(online.models.LoadModel(request)))).reason == "HUB_NOT_FOUND"
    (model,) = (await online.models.ListModels(pb.ListModelsRequest())).models
    assert (model.state, model.error.reason) == (model_pb2.MODEL_STATE_FAILED, "HUB_NOT_FOUND")


async def test_an_unload_ends_the_load_and_leaves_the_download(
    online: Service, fake: FakeHub
) -> None:
    fake.misbehave("/blobs/|/resolve/.*Q8", Fault(hold_at=100_000), times=2)
    request = pb.LoadModelRequest(id="m", source={"hub": source(file=FILE)})
    call = online.models.LoadModel(request)
    await call.read()
    await settled(lambda: len(hub_processes()) == 1)
    await online.models.UnloadModel(pb.UnloadModelRequest(id="m"))
    assert (await refusal(last(call))).reason == "MODEL_UNLOADED"
    assert len(hub_processes()) == 1
    fake.release()


async def test_only_what_is_in_the_cache_can_be_predicted(online: Service) -> None:
    request = pb.PredictMemoryRequest(source={"hub": source(file=MODEL)})
    assert (await refusal(online.models.PredictMemory(request))).reason == "HUB_NOT_FOUND"
    await last(pull(online, file=MODEL))
    (part,) = (await online.models.PredictMemory(request)).devices
    assert (part.device, part.reserved_bytes) == ("RAM", 7)


async def test_a_hub_that_does_not_answer_is_unavailable(online: Service, fake: FakeHub) -> None:
    fake.misbehave("/api/", Fault(status=503), times=100)
    refused = await refusal(online.models.SearchHub(pb.SearchHubRequest(query="tiny")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "HUB_UNAVAILABLE")
