"""One engine process seen from the server, with a fake engine at the other end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
)
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from corral_server.config import DemoSource, LoadOptions, ModelSpec
from corral_server.errors import (
    ContextLengthExceeded,
    CorralError,
    EngineRestarting,
    InternalError,
    ModelFileNotFound,
    ModelLoadFailed,
    QueueFull,
    SlowConsumer,
)
from corral_server.ipc.messages import Failure, Loading, LoadStage
from corral_server.models.crowd import Crowd
from corral_server.models.engine_client import EngineClient
from corral_server.models.engine_process import EngineProcess
from corral_server.models.event_stream import MAX_PENDING
from corral_server.request import (
    Delta,
    Event,
    Finished,
    GenerationRequest,
    Started,
    TextPrompt,
    Token,
)
from fake_engine import COMMAND, PROMPT_TOKENS, Fate, Prompts, Script, text_of, write_model
from watch import open_files, running_engines, settled

pytestmark = pytest.mark.asyncio

DIED = EngineRestarting("died", retry_after_s=1.0)
# The engine is told the path beside it.
SPEC = ModelSpec(id="m", source=DemoSource())

Launch = Callable[..., AbstractAsyncContextManager[EngineClient]]


@pytest.fixture
def ready_engine(tmp_path: Path) -> Launch:
    """Launches an engine that has loaded its model; keywords are fields of its script."""

    @asynccontextmanager
    async def launch(**script: Any) -> AsyncIterator[EngineClient]:
        path = write_model(tmp_path / "model", Script(**script))
        async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
            await engine.probe(path, SPEC, stall_s=30)
            await engine.load(lambda _: None, stall_s=30)
            serving = asyncio.create_task(serve(engine))
            yield engine
        await serving

    return launch


async def serve(engine: EngineClient) -> None:
    await engine.serve()
    engine.end(DIED)


def ask(prompt: str, tokens: int = 3) -> GenerationRequest:
    return GenerationRequest(prompt=TextPrompt(text=prompt), max_tokens=tokens)


async def read(engine: EngineClient, request: GenerationRequest) -> list[Event]:
    return [event async for event in engine.generate(request)]


async def count(engine: EngineClient, what: str) -> int:
    return await engine.count_tokens(TextPrompt(text=what))


async def load(engine: EngineClient, path: Path, *, stall_s: float = 30.0) -> list[Loading]:
    """Loads to the end; returns the progress."""
    progress: list[Loading] = []
    await engine.probe(path, SPEC, stall_s=stall_s)
    await engine.load(progress.append, stall_s=stall_s)
    return progress


# Beside others.


async def test_two_engines_that_compute_on_the_same_processors_hear_of_it(tmp_path: Path) -> None:
    crowd, path = Crowd(processors=1), write_model(tmp_path / "model", Script())
    async with (
        EngineClient.launch(EngineProcess.start(COMMAND), crowd) as one,
        EngineClient.launch(EngineProcess.start(COMMAND), crowd) as other,
    ):
        for engine in (one, other):
            await load(engine, path)
        serving = [asyncio.create_task(serve(engine)) for engine in (one, other)]
        for engine in (one, other):
            await read(engine, ask("hello"))
        assert [await count(engine, Prompts.CROWDS) for engine in (one, other)] == [1, 1]
    await asyncio.wait(serving)


# Its life.


async def test_the_process_is_gone_after_the_block() -> None:
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        assert psutil.pid_exists(engine.pid)
    assert not psutil.pid_exists(engine.pid)


async def test_the_process_is_gone_after_a_block_that_raised() -> None:
    with pytest.raises(RuntimeError):
        async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
            raise RuntimeError
    assert not psutil.pid_exists(engine.pid)


async def test_the_process_is_gone_after_a_block_that_was_cancelled() -> None:
    engines: asyncio.Queue[EngineClient] = asyncio.Queue()

    async def hold() -> None:
        async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
            engines.put_nowait(engine)
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    engine = await engines.get()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert not psutil.pid_exists(engine.pid)


async def test_the_process_is_gone_when_the_clean_up_is_cancelled() -> None:
    leaving: asyncio.Queue[EngineClient] = asyncio.Queue()

    async def leave() -> None:
        async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
            leaving.put_nowait(engine)

    task = asyncio.create_task(leave())
    engine = await leaving.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(engine.pid)


@pytest.mark.parametrize("steps", range(8))
async def test_a_launch_cancelled_at_any_point_leaves_no_process_and_no_socket(steps: int) -> None:
    async def hold() -> None:
        async with EngineClient.launch(EngineProcess.start(COMMAND)):
            await asyncio.Event().wait()

    before = open_files()
    task = asyncio.create_task(hold())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await settled(lambda: open_files() == before)
    assert running_engines() == []


async def test_a_launch_that_fails_leaves_no_socket(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(FileNotFoundError):
        async with EngineClient.launch(EngineProcess.start((str(tmp_path / "none"),))):
            pass
    await settled(lambda: open_files() == before)


async def test_a_helper_that_outlives_its_engine_is_ended_with_it(ready_engine: Launch) -> None:
    async with ready_engine(leaves_helper=True) as engine:
        (helper,) = psutil.Process(engine.pid).children()
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineRestarting):
            await count(engine, Prompts.MUTE)
    psutil.wait_procs([helper], timeout=5)
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE


async def test_noise_on_stdout_and_stderr_is_harmless(ready_engine: Launch) -> None:
    async with ready_engine(noise=True) as engine:
        assert await count(engine, "a text") == PROMPT_TOKENS


# Its load.


async def test_a_load_tells_the_facts_and_the_progress(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model", Script(progress=(0.25, 1.0)))
    progress: list[Loading] = []
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        spec = replace(SPEC, options=LoadOptions(slots=5))
        probed = await engine.probe(path, spec, stall_s=30)
        facts = await engine.load(progress.append, stall_s=30)
    assert (probed.facts.architecture, facts.slots) == ("fake", 5)
    assert progress == [
        Loading(LoadStage.LOADING, 0.25),
        Loading(LoadStage.LOADING, 1.0),
        Loading(LoadStage.WARMING, 0.0),
    ]


async def test_a_missing_file_is_told_as_the_engine_says_it(tmp_path: Path) -> None:
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        with pytest.raises(ModelFileNotFound, match="none") as caught:
            await engine.probe(tmp_path / "none", SPEC, stall_s=30)
    assert caught.value.metadata == {"path": str(tmp_path / "none")}


@pytest.mark.parametrize("point", ["at_probe", "at_load"])
async def test_a_failure_keeps_its_type_and_its_numbers(tmp_path: Path, point: str) -> None:
    failure = Failure.of(QueueFull("no room", retry_after_s=2.5, limit=7))
    path = write_model(tmp_path / "model", Script(**{point: "fail"}, failure=failure))  # type: ignore[arg-type]
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        with pytest.raises(QueueFull, match="no room") as caught:
            await load(engine, path)
    assert (caught.value.retry_after_s, caught.value.metadata) == (2.5, {"limit": "7"})


@pytest.mark.parametrize("point", ["at_probe", "at_load"])
async def test_a_load_without_progress_fails(tmp_path: Path, point: str) -> None:
    path = write_model(tmp_path / "model", Script(**{point: "stall"}))  # type: ignore[arg-type]
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        with pytest.raises(ModelLoadFailed, match="no progress for 1 s"):
            await load(engine, path, stall_s=1.0)


@pytest.mark.parametrize(
    ("fate", "how"),
    [("kill", "killed by SIGKILL"), ("abort", "killed by SIGABRT"), ("exit", "exit code 3")],
)
@pytest.mark.parametrize("point", ["at_probe", "at_load"])
async def test_a_death_while_loading_says_how(
    tmp_path: Path, point: str, fate: Fate, how: str
) -> None:
    path = write_model(tmp_path / "model", Script(**{point: fate}))  # type: ignore[arg-type]
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        with pytest.raises(ModelLoadFailed, match=how):
            await load(engine, path)


async def test_the_last_words_of_an_abort_are_told_without_the_paths_of_the_build(
    tmp_path: Path,
) -> None:
    words = "loading\n/tmp/build/ggml/src/ggml.c:12: GGML_ASSERT(ne % 4 == 0) failed\nbye\n"
    path = write_model(tmp_path / "model", Script(at_load="abort", last_words=words))
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        with pytest.raises(ModelLoadFailed) as caught:
            await load(engine, path)
    assert str(caught.value) == (
        "the engine died: killed by SIGABRT (ggml.c:12: GGML_ASSERT(ne % 4 == 0) failed)"
    )


async def test_an_engine_that_closes_its_channel_but_lives_on_fails_the_load(
    tmp_path: Path,
) -> None:
    path = write_model(tmp_path / "model", Script(at_load="close"))
    async with asyncio.timeout(10), EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        with pytest.raises(ModelLoadFailed):
            await load(engine, path)


async def test_a_command_that_is_no_engine_fails_the_load(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise RuntimeError('not an engine')")
    async with EngineClient.launch(EngineProcess.start(command)) as engine:
        with pytest.raises(ModelLoadFailed, match=r"exit code 1 \(RuntimeError: not an engine\)"):
            await load(engine, tmp_path)


# Its calls.


async def test_an_answer_is_started_then_text_then_finished(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        started, *deltas, finished = await read(engine, ask("hello", 7))
    assert started == Started(prompt_tokens=PROMPT_TOKENS)
    assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == text_of(7)
    assert isinstance(finished, Finished) and finished.completion_tokens == 7


async def test_answers_written_at_once_do_not_mix(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        answers = await asyncio.gather(*(read(engine, ask("hi", n)) for n in range(1, 20)))
    for n, (_, *deltas, _) in enumerate(answers, start=1):
        assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == text_of(n)


async def test_questions_are_answered(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        tokens = await engine.tokenize("ab", add_special=False, parse_special=False)
        raw = await engine.detokenize((104, 105), unparse_special=False)
        counted = await count(engine, "a text")
    assert tokens == (Token(97, b"a"), Token(98, b"b"))
    assert (raw, counted) == (b"hi", PROMPT_TOKENS)


async def test_an_engine_tells_how_busy_it_is(ready_engine: Launch) -> None:
    async with ready_engine(estimated_wait_s=0.5) as engine:
        idle = await engine.load_report()
        async with aclosing(engine.generate(ask(Prompts.HOLD))) as events:
            await anext(events)
            busy = await engine.load_report()
    assert (idle.running, busy.running) == (0, 1)
    assert busy.estimated_wait_s == 0.5


async def test_leaving_an_answer_early_cancels_it(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        async with aclosing(engine.generate(ask(Prompts.HOLD))) as events:
            await anext(events)
            assert await count(engine, Prompts.LIVE) == 1
        assert await count(engine, Prompts.LIVE) == 0


async def test_a_reader_that_is_cancelled_cancels_its_request_alone(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        readers = [asyncio.create_task(read(engine, ask(Prompts.HOLD))) for _ in range(3)]
        await asyncio.sleep(0)
        assert await count(engine, Prompts.LIVE) == 3
        readers[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await readers[1]
        assert await count(engine, Prompts.LIVE) == 2
        await engine.tokenize(Prompts.FINISH, add_special=False, parse_special=False)
        for reader in (readers[0], readers[2]):
            assert isinstance((await reader)[-1], Finished)


async def test_an_answer_that_is_complete_is_not_cancelled(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        await read(engine, ask("hello"))
        assert await count(engine, Prompts.CANCELS) == 0


async def test_an_engine_that_ignores_a_cancel_disturbs_nobody(ready_engine: Launch) -> None:
    async with ready_engine(ignores_cancel=True) as engine:
        async with aclosing(engine.generate(ask(Prompts.HOLD))) as events:
            await anext(events)
        # What it still sends for the call that is gone must not hurt this one.
        await engine.tokenize(Prompts.FINISH, add_special=False, parse_special=False)
        assert isinstance((await read(engine, ask("hello")))[-1], Finished)


@pytest.mark.parametrize(
    ("prompt", "error"), [(Prompts.FULL, QueueFull), (Prompts.LONG, ContextLengthExceeded)]
)
async def test_a_refused_request_raises_the_engines_error(
    ready_engine: Launch, prompt: str, error: type[CorralError]
) -> None:
    async with ready_engine() as engine:
        with pytest.raises(error) as caught:
            await read(engine, ask(prompt))
    assert caught.value.metadata["limit"] in ("256", "8")


async def test_more_requests_than_may_wait_are_refused_at_once(ready_engine: Launch) -> None:
    async with ready_engine() as engine, AsyncExitStack() as answers:
        most = (await engine.load_report()).slots + SPEC.options.max_waiting
        for _ in range(most):
            answer = await answers.enter_async_context(aclosing(engine.generate(ask(Prompts.HOLD))))
            assert isinstance(await anext(answer), Started)
        with pytest.raises(QueueFull) as caught:
            await read(engine, ask("one more"))
        assert caught.value.metadata == {"waiting": "256", "limit": "256"}
        await answers.aclose()
        assert isinstance((await read(engine, ask("now there is room")))[-1], Finished)


async def test_a_slow_reader_is_cut_off_and_the_engine_is_told_once(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        async with aclosing(engine.generate(ask(Prompts.HOLD, MAX_PENDING + 10))) as events:
            await anext(events)
            await count(engine, "everything written has arrived")
            assert await count(engine, Prompts.CANCELS) == 1
            assert await count(engine, Prompts.LIVE) == 0
            (delta,) = [event async for event in until_error(events, SlowConsumer)]
    assert isinstance(delta, Delta) and delta.text == text_of(delta.completion_tokens)


async def until_error(
    events: AsyncIterator[Event], error: type[CorralError]
) -> AsyncIterator[Event]:
    with pytest.raises(error):
        async for event in events:
            yield event


async def test_a_death_ends_all_calls_within_a_second(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        calls = [asyncio.create_task(read(engine, ask(Prompts.HOLD))) for _ in range(5)]
        question = asyncio.create_task(count(engine, Prompts.MUTE))
        await count(engine, "all are there")
        os.kill(engine.pid, signal.SIGKILL)
        async with asyncio.timeout(1):
            ends = await asyncio.gather(*calls, question, return_exceptions=True)
    assert ends == [DIED] * 6


async def test_a_call_to_a_dead_engine_ends_at_once(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        with pytest.raises(EngineRestarting):
            await read(engine, ask(Prompts.DIE))
        with pytest.raises(EngineRestarting):
            await read(engine, ask("hello"))
        with pytest.raises(EngineRestarting):
            await count(engine, "a text")


async def test_what_arrived_before_a_death_is_still_delivered(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        events = until_error(engine.generate(ask(Prompts.DIE, 4)), EngineRestarting)
        seen = [event async for event in events]
    text = "".join(event.text for event in seen if isinstance(event, Delta))
    assert text == text_of(4)


async def test_an_obituary_says_how_the_engine_died(ready_engine: Launch) -> None:
    async with ready_engine() as engine:
        os.kill(engine.pid, signal.SIGSEGV)
        with pytest.raises(EngineRestarting):
            await count(engine, Prompts.MUTE)
    assert await engine.obituary() == "killed by SIGSEGV"


@pytest.mark.parametrize("fate", ["babble", "garble"])
async def test_nonsense_during_a_load_is_an_internal_error(tmp_path: Path, fate: Fate) -> None:
    path = write_model(tmp_path / "model", Script(at_load=fate))
    async with EngineClient.launch(EngineProcess.start(COMMAND)) as engine:
        with pytest.raises(InternalError):
            await load(engine, path)
