"""What a real engine remembers of earlier prompts, and that it changes no answer."""

from pathlib import Path

import pytest

from corral_server.config import LoadOptions
from corral_server.ipc.messages import AskLoad, EngineLoad, Start, Submit
from corral_server.request import Finished, GenerationRequest, SamplingParams, TokenPrompt
from engine_peer import text_of
from loaded_engine import LoadedEngine, loaded
from tiny_gguf import write_llama
from tiny_mamba import write_mamba

PROMPT = tuple(range(60, 160))
TURN = (*PROMPT, *range(100, 110))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("models") / "llama.gguf", context=512)


@pytest.fixture(scope="module")
def mamba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mamba(tmp_path_factory.mktemp("models") / "mamba.gguf", context=512)


def ask(
    engine: LoadedEngine, call: int, prompt: tuple[int, ...], scope: str = ""
) -> tuple[str, int]:
    """The answer, and how many tokens of the prompt did not have to be computed."""
    request = GenerationRequest(
        prompt=TokenPrompt(prompt),
        sampling=SamplingParams(temperature=0.0),
        max_tokens=8,
        cache_scope=scope,
    )
    engine.peer.send(Submit(call, request))
    events = engine.peer.answers(call)[call]
    finished = events[-1]
    assert isinstance(finished, Finished)
    return text_of(events), finished.cached_tokens


def fresh(path: Path, prompt: tuple[int, ...]) -> str:
    with loaded(Start(str(path), LoadOptions(slots=2, prefix_cache=False))) as engine:
        answer, cached = ask(engine, 1, prompt)
    assert cached == 0
    return answer


def test_the_next_turn_computes_only_what_is_new(llama: Path) -> None:
    with loaded(Start(str(llama), LoadOptions(slots=2))) as engine:
        assert ask(engine, 1, PROMPT)[1] == 0
        answer, cached = ask(engine, 2, TURN)
    assert (answer, cached) == (fresh(llama, TURN), len(PROMPT))


def test_another_scope_finds_nothing(llama: Path) -> None:
    with loaded(Start(str(llama), LoadOptions(slots=2))) as engine:
        ask(engine, 1, PROMPT, scope="one")
        assert ask(engine, 2, PROMPT, scope="other")[1] == 0
        assert ask(engine, 3, PROMPT, scope="one")[1] == len(PROMPT) - 1


def test_without_a_prefix_cache_everything_is_computed_again(llama: Path) -> None:
    with loaded(Start(str(llama), LoadOptions(slots=2, prefix_cache=False))) as engine:
        assert [ask(engine, call, PROMPT)[1] for call in (1, 2)] == [0, 0]
        engine.peer.send(AskLoad(3))
        assert engine.peer.skip_to(EngineLoad).cells_cached == 0


def test_what_was_pushed_out_of_a_small_cache_comes_back_from_host_memory(llama: Path) -> None:
    options = LoadOptions(slots=2, context_size=256, host_cache_bytes=1 << 24)
    with loaded(Start(str(llama), options)) as engine:
        ask(engine, 1, PROMPT)
        for call in (2, 3):
            ask(engine, call, tuple(range(200 - 50 * call, 350 - 50 * call)))
        answer, cached = ask(engine, 4, TURN)
    assert (answer, cached) == (fresh(llama, TURN), len(PROMPT))


def test_a_recurrent_model_goes_on_from_its_checkpoint(mamba: Path) -> None:
    with loaded(Start(str(mamba), LoadOptions(slots=2))) as engine:
        assert ask(engine, 1, PROMPT)[1] == 0
        answer, cached = ask(engine, 2, TURN)
        again, whole = ask(engine, 3, PROMPT)
    assert (answer, cached) == (fresh(mamba, TURN), len(PROMPT) - 1)
    assert (again, whole) == (fresh(mamba, PROMPT), len(PROMPT) - 1)


def test_a_recurrent_model_without_room_for_checkpoints_computes_everything(mamba: Path) -> None:
    with loaded(Start(str(mamba), LoadOptions(slots=2, host_cache_bytes=0))) as engine:
        assert [ask(engine, call, PROMPT)[1] for call in (1, 2)] == [0, 0]
