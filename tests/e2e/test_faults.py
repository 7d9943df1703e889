"""What goes wrong with one model, and that the others do not notice."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import corral
from bench.running_server import RunningServer, running_server
from corral.aio import Client
from tiny_gguf import write_llama, write_model_that_aborts, write_model_that_fails_to_load

pytestmark = pytest.mark.asyncio

LONG = 200  # tokens


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    path = write_llama(tmp_path_factory.mktemp("models") / "steady.gguf")
    with running_server("--model", f"steady={path}") as server:
        yield server


@asynccontextmanager
async def a_steady_stream(client: Client) -> AsyncIterator[None]:
    """Another caller of another model, who must go on reading answers while the block runs."""
    stop = asyncio.Event()
    answers = 0

    async def read_on() -> None:
        nonlocal answers
        while not stop.is_set():
            answer = await client.inference.generate(
                "Go on", model="steady", max_tokens=LONG, ignore_eos=True
            )
            assert answer.finished.usage.completion_tokens == LONG
            answers += 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read_on())
        yield
        stop.set()
    assert answers > 0


@pytest.mark.parametrize("at", ["load", "context", "decode"])
async def test_a_file_that_makes_llama_cpp_abort_fails_its_own_load_alone(
    server: RunningServer, tmp_path: Path, at: str
) -> None:
    path = tmp_path / "bad.gguf"
    write_model_that_aborts(path, at=at)  # type: ignore[arg-type]
    async with Client(server.address) as client, a_steady_stream(client):
        with pytest.raises(corral.ModelLoadFailed, match="SIGABRT") as failure:
            await client.models.load("bad", path)
        assert failure.value.code.name == "FAILED_PRECONDITION"
        (failed,) = [model for model in await client.models.list() if model.id == "bad"]
        assert failed.state == corral.ModelState.MODEL_STATE_FAILED
        assert failed.error.reason == "MODEL_LOAD_FAILED"
        await client.models.unload("bad")


async def test_bad_files_are_typed_errors_and_change_nothing(
    server: RunningServer, tmp_path: Path
) -> None:
    good = write_llama(tmp_path / "good.gguf").read_bytes()
    (tmp_path / "truncated.gguf").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.gguf").write_text("This is no model.")
    write_model_that_fails_to_load(tmp_path / "unknown.gguf")
    expected = {
        "missing.gguf": corral.ModelFileNotFound,
        "truncated.gguf": corral.ModelFileInvalid,
        "text.gguf": corral.ModelFileInvalid,
        "unknown.gguf": corral.ModelLoadFailed,
    }
    async with Client(server.address) as client, a_steady_stream(client):
        for name, error in expected.items():
            with pytest.raises(error):
                await client.models.load("bad", tmp_path / name, make_default=True)
            assert (await client.models.get_default()).id == "steady"
            await client.models.unload("bad")


async def test_an_engine_that_is_killed_ends_its_streams_and_comes_back(
    server: RunningServer, tmp_path: Path
) -> None:
    path = write_llama(tmp_path / "victim.gguf", seed=1)
    async with Client(server.address) as client:
        known = set(server.engine_pids())
        await client.models.load("victim", path)
        (engine,) = set(server.engine_pids()) - known
        async with a_steady_stream(client):
            stream = client.inference.generate_stream(
                "Hi", model="victim", max_tokens=LONG, ignore_eos=True
            )
            deltas = aiter(stream)
            await anext(deltas)
            os.kill(engine, signal.SIGKILL)
            killed_at = time.monotonic()
            with pytest.raises(corral.EngineRestarting) as error:
                async for _ in deltas:
                    pass
            assert time.monotonic() - killed_at < 1
            assert error.value.code.name == "UNAVAILABLE"
            assert error.value.retry_after_s is not None
            model = await _until_ready(client, "victim")
            assert model.restarts == 1
            answer = await client.inference.generate(
                "Hi", model="victim", max_tokens=LONG, ignore_eos=True
            )
            assert answer.finished.usage.completion_tokens == LONG
        await client.models.unload("victim")


async def _until_ready(client: Client, id: str) -> corral.Model:
    async with asyncio.timeout(20):
        while True:
            model = await client.models.get(id)
            if model.state == corral.ModelState.MODEL_STATE_READY:
                return model
            assert model.state == corral.ModelState.MODEL_STATE_RESTARTING
            await asyncio.sleep(
                0.05
            )  # no call waits for a restart: asking again is what clients do


async def test_bad_requests_are_refused_with_everything_that_is_wrong(
    server: RunningServer,
) -> None:
    async with Client(server.address) as client, a_steady_stream(client):
        ask = client.inference.generate
        with pytest.raises(corral.ModelNotFound, match="steady"):
            await ask("Hi", model="nobody")
        with pytest.raises(corral.InvalidFields) as invalid:
            await ask("", max_tokens=-1, temperature=float("nan"), top_p=-1, min_p=2)
        fields = {violation.field for violation in invalid.value.fields}
        assert fields == {
            "prompt",
            "max_tokens",
            "sampling.temperature",
            "sampling.top_p",
            "sampling.min_p",
        }
        with pytest.raises(corral.ContextLengthExceeded) as too_long:
            await ask("word " * 2000)
        limit = (await client.models.get("steady")).facts.sequence_limit
        assert int(too_long.value.metadata["limit"]) == limit - 1
        assert int(too_long.value.metadata["prompt_tokens"]) > limit


async def test_no_default_model_is_its_own_error(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tiny.gguf")
    with running_server("--model", f"only={path}") as server:
        async with Client(server.address) as client:
            await client.models.unload("only")
            with pytest.raises(corral.NoDefaultModel):
                await client.inference.generate("Hi")
