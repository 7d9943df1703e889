"""The real engine: a process that loads a tiny model, serves it, and dies only its own death."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from corral_server.config import LoadOptions
from corral_server.errors import ModelFileInvalid, ModelFileNotFound, ModelLoadFailed
from corral_server.ipc.messages import (
    LoadFailed,
    Loading,
    LoadStage,
    Probed,
    Proceed,
    Ready,
    Start,
    Submit,
    Tokenize,
    Tokenized,
)
from corral_server.request import (
    Conversation,
    Finished,
    FinishReason,
    GenerationRequest,
    Message,
    SamplingParams,
    TextPrompt,
)
from engine_peer import DEADLINE_S, EnginePeer, text_of
from tiny_gguf import (
    AbortPoint,
    write_llama,
    write_model_that_aborts,
    write_model_that_fails_to_load,
    write_split,
)

SMALL = LoadOptions(context_size=512, slots=4, batch_size=32, threads=1)
ENGINE = [sys.executable, "-m", "corral_server.engine"]


@dataclass
class Engine:
    peer: EnginePeer
    process: subprocess.Popen[bytes]

    def probe(self, path: Path, options: LoadOptions = SMALL) -> Probed:
        self.peer.send(Start(str(path), options))
        return self.peer.expect(Probed)

    def load(self, path: Path) -> Ready:
        self.probe(path)
        self.peer.send(Proceed())
        return self.peer.skip_to(Ready)

    def ends(self) -> int:
        return self.process.wait(DEADLINE_S)


@contextmanager
def engine() -> Iterator[Engine]:
    peer, theirs = EnginePeer.pair()
    with theirs:
        process = subprocess.Popen(
            [*ENGINE, str(theirs.fileno())], pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL
        )
    try:
        yield Engine(peer, process)
    finally:
        peer.close()
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("process") / "tiny.gguf")


@pytest.fixture(scope="module")
def ready(tiny: Path) -> Iterator[Engine]:
    """One engine for the tests that leave it as it was."""
    with engine() as running:
        running.load(tiny)
        yield running


# Loading


def test_a_probe_tells_what_the_file_holds(tiny: Path) -> None:
    with engine() as running:
        facts = running.probe(tiny).facts
    assert (facts.architecture, facts.name, facts.quantization) == ("llama", "tiny", "F32")
    assert (facts.trained_context, facts.embedding_size) == (256, 32)
    assert facts.file_bytes == tiny.stat().st_size
    assert facts.has_chat_template


def test_a_load_tells_its_stages_and_what_the_engine_offers(tiny: Path) -> None:
    with engine() as running:
        running.probe(tiny)
        running.peer.send(Proceed())
        told: list[Loading] = []
        while isinstance(report := running.peer.report(), Loading):
            told.append(report)
    assert [loading.stage for loading in told] == sorted(
        (loading.stage for loading in told), key=list(LoadStage).index
    )
    weights = [loading.fraction for loading in told if loading.stage is LoadStage.LOADING]
    assert weights == sorted(weights)
    assert weights[-1] == 1.0
    assert isinstance(report, Ready)
    assert (report.facts.context_size, report.facts.sequence_limit) == (512, 256)
    assert report.facts.slots == 4
    assert report.facts.memory_bytes > 1 << 20


def test_a_split_model_is_loaded_from_its_first_shard(tmp_path: Path) -> None:
    first, *_ = write_split(tmp_path)
    with engine() as running:
        running.load(first)
        running.peer.send(Submit(1, GenerationRequest(prompt=TextPrompt(text="a"), max_tokens=2)))
        assert 1 in running.peer.answers(1)


def missing(folder: Path) -> Path:
    return folder / "none.gguf"


def no_gguf(folder: Path) -> Path:
    path = folder / "text.gguf"
    path.write_text("this is no model")
    return path


def unheard_of(folder: Path) -> Path:
    return write_model_that_fails_to_load(folder / "bad.gguf")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing, ModelFileNotFound),
        (no_gguf, ModelFileInvalid),
        (unheard_of, ModelLoadFailed),
    ],
)
def test_a_model_that_cannot_be_loaded_is_told_and_ends_the_engine(
    make: Callable[[Path], Path], reason: type[Exception], tmp_path: Path
) -> None:
    with engine() as running:
        running.peer.send(Start(str(make(tmp_path)), SMALL))
        report = running.peer.report()
        if isinstance(report, Probed):
            running.peer.send(Proceed())
            report = running.peer.skip_to(LoadFailed)
        assert isinstance(report, LoadFailed)
        assert type(report.failure.error()) is reason
        assert running.ends() == 1


# Serving


def test_it_generates(ready: Engine) -> None:
    request = GenerationRequest(
        prompt=TextPrompt(text="Hello world"),
        sampling=SamplingParams(temperature=0.0),
        max_tokens=3,
    )
    ready.peer.send(Submit(1, request), Submit(2, request))
    answers = ready.peer.answers(1, 2)
    finished = answers[1][-1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.completion_tokens) == (FinishReason.LENGTH, 3)
    assert text_of(answers[1]) == text_of(answers[2]) != ""


def test_it_chats(ready: Engine) -> None:
    conversation = Conversation(messages=(Message(role="user", content="Hello"),))
    ready.peer.send(Submit(1, GenerationRequest(prompt=conversation, max_tokens=3)))
    assert 1 in ready.peer.answers(1)


def test_it_outgrows_its_cells_without_harm(ready: Engine) -> None:
    request = GenerationRequest(prompt=TextPrompt(text="x" * 100), max_tokens=100)
    ready.peer.send(*(Submit(call, request) for call in range(4)))
    answers = ready.peer.answers(*range(4))
    assert all(isinstance(events[-1], Finished) for events in answers.values())


def test_it_answers_questions(ready: Engine) -> None:
    ready.peer.send(Tokenize(1, "é", add_special=False, parse_special=False))
    tokens = ready.peer.expect(Tokenized).tokens
    assert b"".join(token.piece for token in tokens) == "é".encode()


# Ends


def test_the_end_of_the_channel_is_a_good_end(tiny: Path) -> None:
    with engine() as running:
        running.load(tiny)
        running.peer.close()
        assert running.ends() == 0


def test_the_end_of_the_channel_ends_an_engine_in_the_middle_of_an_answer(tiny: Path) -> None:
    with engine() as running:
        running.load(tiny)
        running.peer.send(Submit(1, GenerationRequest(prompt=TextPrompt(text="x"))))
        running.peer.frame()
        running.peer.close()
        assert running.ends() == 0


def test_the_end_of_the_channel_ends_an_engine_that_waits_to_proceed(tiny: Path) -> None:
    with engine() as running:
        running.probe(tiny)
        running.peer.close()
        assert running.ends() == 0


def test_an_interrupt_from_the_terminal_is_not_for_the_engine(tiny: Path) -> None:
    with engine() as running:
        running.load(tiny)
        running.process.send_signal(signal.SIGINT)
        running.peer.send(Tokenize(1, "x", add_special=False, parse_special=False))
        assert running.peer.expect(Tokenized).call == 1


@pytest.mark.parametrize("at", ["load", "context", "decode"])
def test_a_model_that_aborts_takes_only_its_engine_along(at: AbortPoint, tmp_path: Path) -> None:
    path = write_model_that_aborts(tmp_path / "aborts.gguf", at)
    with engine() as running:
        with pytest.raises(EOFError):
            running.load(path)
        assert running.ends() < 0


PARENT = """
import subprocess, sys
engine = subprocess.Popen(sys.argv[1:], pass_fds=[int(sys.argv[-1])])
print(engine.pid, flush=True)
engine.wait()
"""


def test_an_engine_dies_with_the_process_that_started_it(tiny: Path) -> None:
    peer, theirs = EnginePeer.pair()
    with theirs:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, *ENGINE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        engine = os.pidfd_open(pid)
        # The channel stays open here, so it is not its end that ends the engine.
        peer.send(Start(str(tiny), SMALL))
        peer.expect(Probed)
        parent.kill()
        died, _, _ = select.select([engine], [], [], DEADLINE_S)
        os.close(engine)
    peer.close()
    assert died
