"""GetMemory and PredictMemory through gRPC, with fake engines that say what they take."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import fake_engine
from corral.v1 import model_manager_pb2 as pb
from corral.v1 import model_pb2
from corral_server.config import BudgetConfig
from corral_server.errors import ModelFileInvalid
from corral_server.ipc.messages import Device, Failure
from corral_server.models.engines import Engines
from corral_server.models.machine import read_memory
from corral_server.models.registry import ModelRegistry
from fake_engine import QUICK
from rpc.service import Service, last, refusal, serving
from watch import running_engines

pytestmark = pytest.mark.asyncio

GB = 10**9
GPUS = tuple(
    Device(name=name, description="a GPU", total_bytes=80 * GB, free_bytes=70 * GB)
    for name in ("CUDA0", "CUDA1")
)


@pytest_asyncio.fixture
async def small(tmp_path: Path) -> AsyncIterator[Service]:
    """A server with 10 GB for models in RAM, and 40 GB on its first GPU."""
    budget = BudgetConfig(device_bytes={"RAM": 10 * GB, "CUDA0": 40 * GB})
    registry = ModelRegistry(
        engines=Engines(fake_engine.COMMAND),
        timeouts=QUICK,
        budget=budget,
        model_dirs=(str(tmp_path),),
        min_residency_s=0.0,
        patience_s=0.0,
    )
    async with serving(registry, tmp_path) as service:
        yield service
    await registry.close()
    assert running_engines() == []


async def memory(service: Service) -> pb.GetMemoryResponse:
    answer = await service.models.GetMemory(pb.GetMemoryRequest())
    assert isinstance(answer, pb.GetMemoryResponse)
    return answer


def gpu_script(**script: Any) -> dict[str, Any]:
    return {"ram_bytes": 2 * GB, "devices": GPUS, "gpu_bytes": 30 * GB} | script


async def predict(service: Service, **script: Any) -> pb.PredictMemoryResponse:
    request = pb.PredictMemoryRequest(source=service.source("asked", **script))
    answer = await service.models.PredictMemory(request)
    assert isinstance(answer, pb.PredictMemoryResponse)
    return answer


# GetMemory.


async def test_a_server_without_models_knows_its_own_memory(service: Service) -> None:
    answer = await memory(service)
    (ram,) = answer.devices
    assert (ram.device, ram.total_bytes) == ("RAM", read_memory().total)
    assert 0 < ram.free_bytes < ram.total_bytes
    assert (ram.HasField("budget_bytes"), ram.reserved_bytes, ram.measured_bytes) == (False, 0, 0)
    assert list(answer.models) == []


async def test_gpus_are_known_once_an_engine_has_seen_them(small: Service) -> None:
    await small.load(**gpu_script())
    ram, first, second = (await memory(small)).devices
    assert [ram.device, first.device, second.device] == ["RAM", "CUDA0", "CUDA1"]
    assert (first.description, first.total_bytes, first.free_bytes) == ("a GPU", 80e9, 70e9)
    assert (ram.budget_bytes, first.budget_bytes, second.HasField("budget_bytes")) == (
        10e9,
        40e9,
        False,
    )
    assert (ram.reserved_bytes, first.reserved_bytes, second.reserved_bytes) == (2e9, 30e9, 0)


async def test_what_each_model_takes_is_told_by_device(small: Service) -> None:
    await small.load("b", **gpu_script(growth_bytes=3 * GB))
    await small.load("a", ram_bytes=1 * GB)
    answer = await memory(small)
    assert [model.id for model in answer.models] == ["a", "b"]
    assert {
        (model.id, part.device): (part.weights_bytes, part.reserved_bytes, part.measured_bytes)
        for model in answer.models
        for part in model.devices
    } == {
        ("a", "RAM"): (1e9, 1e9, 0),
        ("b", "RAM"): (2e9, 3e9, 3e9),
        ("b", "CUDA0"): (30e9, 30e9, 0),
    }
    ram = answer.devices[0]
    assert (ram.reserved_bytes, ram.measured_bytes) == (4e9, 3e9)


async def test_what_a_model_takes_is_told_with_it(small: Service) -> None:
    model = await small.load(ram_bytes=2 * GB)
    assert list(model.memory) == list((await memory(small)).models[0].devices)


async def test_memory_comes_back_with_an_unload(small: Service) -> None:
    await small.load(**gpu_script())
    await small.models.UnloadModel(pb.UnloadModelRequest(id="m"))
    assert [device.reserved_bytes for device in (await memory(small)).devices] == [0, 0, 0]


# PredictMemory.


async def test_a_prediction_tells_what_a_load_would_take(small: Service) -> None:
    answer = await predict(small, **gpu_script())
    assert {part.device: part.reserved_bytes for part in answer.devices} == {
        "RAM": 2e9,
        "CUDA0": 30e9,
    }
    assert (answer.fits, answer.fits_after_eviction) == (True, True)
    assert (answer.facts.architecture, answer.facts.slots) == ("fake", 0)


async def test_a_prediction_loads_nothing_and_sets_nothing_aside(small: Service) -> None:
    await predict(small, ram_bytes=9 * GB)
    assert small.registry.entries() == []
    assert small.registry.memory.used() == {}
    assert running_engines() == []
    assert (await predict(small, ram_bytes=9 * GB)).fits


@pytest.mark.parametrize(
    ("pinned", "size", "expected"),
    [
        (False, 4, (True, True)),
        (False, 8, (False, True)),
        (False, 11, (False, False)),
        (True, 8, (False, False)),
    ],
)
async def test_a_prediction_says_whether_it_fits_and_whether_eviction_would_help(
    small: Service, pinned: bool, size: int, expected: tuple[bool, bool]
) -> None:
    source = small.source("m", ram_bytes=6 * GB)
    await last(small.models.LoadModel(pb.LoadModelRequest(id="m", source=source, pinned=pinned)))
    answer = await predict(small, ram_bytes=size * GB)
    assert (answer.fits, answer.fits_after_eviction) == expected
    assert [entry.id for entry in small.registry.entries()] == ["m"]


async def test_a_file_that_makes_no_sense_cannot_be_predicted(small: Service) -> None:
    failure = Failure.of(ModelFileInvalid("it is cut short"))
    refused = await refusal(predict(small, at_probe="fail", failure=failure))
    assert (refused.reason, refused.message) == ("MODEL_FILE_INVALID", "it is cut short")
    assert running_engines() == []


async def test_a_model_of_the_hub_is_not_downloaded_to_be_predicted(small: Service) -> None:
    source = model_pb2.ModelSource(hub={"repo": "someone/none-GGUF", "file": "m.gguf"})
    request = pb.PredictMemoryRequest(source=source)
    assert (await refusal(small.models.PredictMemory(request))).reason == "HUB_NOT_FOUND"


@pytest.mark.parametrize("rpc", ["LoadModel", "PredictMemory"])
async def test_paths_out_of_the_model_directories_are_refused(small: Service, rpc: str) -> None:
    source = model_pb2.ModelSource(path="/etc/passwd")
    if rpc == "LoadModel":
        call = last(small.models.LoadModel(pb.LoadModelRequest(id="m", source=source)))
    else:
        call = small.models.PredictMemory(pb.PredictMemoryRequest(source=source))
    assert (await refusal(call)).reason == "PATH_NOT_ALLOWED"


# Eviction, as a caller asks for it.


async def test_a_load_evicts_idle_models_only_if_it_is_told_to(small: Service) -> None:
    await small.load("old", ram_bytes=6 * GB)
    request = pb.LoadModelRequest(id="new", source=small.source("new", ram_bytes=6 * GB))
    refused = await refusal(last(small.models.LoadModel(request)))
    assert refused.reason == "INSUFFICIENT_MEMORY"
    assert dict(refused.info.metadata) == {
        "model": "new",
        "device": "RAM",
        "required": str(6 * GB),
        "available": str(4 * GB),
        "limit": str(10 * GB),
    }
    request.evict_idle = True
    assert (await last(small.models.LoadModel(request))).model.id == "new"
    listed = (await small.models.ListModels(pb.ListModelsRequest())).models
    assert [model.id for model in listed] == ["new"]
