"""`corral serve` as a person or a service manager runs it, with real engines and a tiny model."""

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import corral
from tiny_gguf import write_llama

CORRAL = str(Path(sys.executable).with_name("corral"))
DEADLINE_S = 30.0
READY = "Ctrl-C stops it."


class Server:
    """A running `corral serve`."""

    def __init__(self, *arguments: str, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [CORRAL, "serve", "--address", self.address, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._seen: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def wait_for(self, text: str) -> str:
        """Reads on until a line holds `text`; returns that line."""
        while text not in (line := self._lines.get(timeout=DEADLINE_S)):
            self._seen.append(line)
            assert line, f"it ended without saying {text!r}: {''.join(self._seen)}"
        self._seen.append(line)
        return line

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns the exit code and all that was said."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        while not self._lines.empty():
            self._seen.append(self._lines.get())
        return code, "".join(self._seen)

    @property
    def engines(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_llama(tmp_path_factory.mktemp("models") / "tiny.gguf"))


@pytest.fixture
def port() -> int:
    """One that is free."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def serve(port: int) -> Iterator[Serve]:
    running: list[Server] = []

    def start(*arguments: str) -> Server:
        running.append(Server(*arguments, port=port))
        return running[-1]

    yield start
    for server in running:
        server.kill()


def gone(processes: list[psutil.Process], *, within_s: float) -> bool:
    return not psutil.wait_procs(processes, timeout=within_s)[1]


def test_it_says_that_it_is_ready_answers_and_stops_when_told(serve: Serve, tiny: str) -> None:
    server = serve("--model", f"tiny={tiny}")
    assert f"serves tiny on {server.address}" in server.wait_for(READY)
    with corral.Client(server.address) as client:
        answer = client.inference.generate("Hello", max_tokens=4)
    assert (answer.model, answer.finished.usage.completion_tokens) == ("tiny", 4)
    engines = server.engines
    server.process.send_signal(signal.SIGTERM)
    code, said = server.end()
    assert code == 0, said
    assert len(engines) == 1 and gone(engines, within_s=5)


def test_it_says_how_to_talk_to_it_where_it_is(serve: Serve, tiny: str) -> None:
    server = serve("--model", f"tiny={tiny}")
    assert f"chat --address {server.address}" in server.wait_for("Talk to it:")


def test_ctrl_c_stops_it_too(serve: Serve, tiny: str) -> None:
    server = serve("--model", f"tiny={tiny}")
    server.wait_for(READY)
    server.process.send_signal(signal.SIGINT)
    code, said = server.end()
    assert code == 0 and "Traceback" not in said


def test_a_server_that_is_killed_leaves_no_engine(serve: Serve, tiny: str) -> None:
    server = serve("--model", f"a={tiny}", "--model", f"b={tiny}")
    server.wait_for(READY)
    engines = server.engines
    server.process.kill()
    assert len(engines) == 2 and gone(engines, within_s=5)


def test_a_missing_file_is_told_and_the_others_are_served(
    serve: Serve, tiny: str, tmp_path: Path
) -> None:
    server = serve("--model", f"tiny={tiny}", "--model", f"gone={tmp_path}/none.gguf")
    assert "gone" in server.wait_for("none.gguf")
    server.wait_for("error: none.gguf")
    assert "serves tiny on" in server.wait_for(READY)


def test_a_server_whose_only_model_is_missing_still_runs(serve: Serve, tmp_path: Path) -> None:
    server = serve("--model", f"gone={tmp_path}/none.gguf")
    assert "serves no model" in server.wait_for(READY)
    with corral.Client(server.address) as client:
        (model,) = client.models.list()
    assert model.error.reason == "MODEL_FILE_NOT_FOUND"


def test_an_occupied_port_is_told(serve: Serve, tiny: str, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        code, said = serve("--model", f"tiny={tiny}").end()
    assert code == 1
    assert f"error: cannot listen on 127.0.0.1:{port}" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["--model", "tiny"], 2, "'tiny' is not ID=SOURCE"),
        (["--model", "=x"], 2, "is not ID=SOURCE"),
        (["--model", "x="], 2, "is not ID=SOURCE"),
        (["--model", "a=x", "--model", "a=y"], 2, "two models have the id 'a'"),
        # Settings may come from a file or a variable, too: they are refused in one way.
        (["--model", "a b=x"], 1, "--model: must be 1 to 128 letters"),
        (["--model", "a=x", "--default", "b"], 1, '--default: must be the id of a model, not "b"'),
        (["--log-level", "loud"], 1, '--log-level: must be one of "debug", "info"'),
        (["--grace", "-1"], 1, "--grace: must be a duration"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_starts(
    serve: Serve, arguments: list[str], code: int, hint: str
) -> None:
    ended, said = serve(*arguments).end()
    assert ended == code
    flat = " ".join(said.replace("│", " ").split())
    assert hint in flat and "Traceback" not in said


def test_a_second_signal_ends_running_calls_at_once(serve: Serve, tmp_path: Path) -> None:
    long = write_llama(tmp_path / "long.gguf", context=8192)
    server = serve("--model", f"long={long}", "--grace", "600")
    server.wait_for(READY)
    with corral.Client(server.address) as client:
        stream = iter(client.inference.generate_stream("Hello", ignore_eos=True))
        next(stream)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping")
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(corral.CorralError):
            for _ in stream:
                pass
    code, said = server.end()
    assert code == 0, said
