"""The chat command: a pipe, and a conversation in the terminal."""

import io
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc import StatusCode
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from corral import Client, Priority, Role
from corral.cli import main
from corral.cli.conversation import Conversation
from corral.cli.talk import Talk, typed_lines
from corral.cli.thinking import ThinkingSplitter

from .scripted_server import ScriptedServer, reason, refusal, stream_of


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.address) as running:
        yield running


def turns(request: object) -> list[tuple[str, str]]:
    """Who said what in a request."""
    return [
        (Role.Name(message.role).removeprefix("ROLE_").lower(), message.content)
        for message in request.messages  # type: ignore[attr-defined]
    ]


def pipe(monkeypatch: pytest.MonkeyPatch, stdin: str, *arguments: str) -> object:
    """Runs `corral chat` with `stdin` piped in and returns its exit code."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    with pytest.raises(SystemExit) as caught:
        main(["chat", *arguments])
    return caught.value.code


def test_each_line_of_a_pipe_is_a_message(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--address", server.address, "--system", "Be brief.", "--no-thinking", "--seed", "7"]
    flags += ["--cache-scope", "ann", "--priority", "high"]
    assert pipe(monkeypatch, "one\n\n/help\n", *flags) == 0
    assert capsys.readouterr() == ("Hello you\nHello you\n", "")
    first, second = server.requests
    assert turns(first) == [("system", "Be brief."), ("user", "one")]
    assert turns(second) == [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "Hello you"),
        ("user", "/help"),
    ]
    assert (second.cache_scope, second.priority) == ("ann", Priority.PRIORITY_HIGH)
    assert first.HasField("enable_thinking") and not first.enable_thinking
    assert first.sampling.seed == 7


def test_json_is_a_line_for_each_event(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pipe(monkeypatch, "one\n", "--address", server.address, "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [*map(list, events)] == [["started"], ["delta"], ["delta"], ["finished"]]


def test_an_error_ends_a_pipe(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    none = reason("NO_DEFAULT_MODEL")
    server.answers["ChatStream"] = refusal(StatusCode.FAILED_PRECONDITION, "no default", none)
    assert pipe(monkeypatch, "one\ntwo\n", "--address", server.address) == 1
    assert len(server.requests) == 1
    assert "error: no default\n" in capsys.readouterr().err


def test_a_conversation_goes_on_after_an_error(
    client: Client, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail_first(1, "ChatStream", refusal(StatusCode.ABORTED, "gone"))
    Talk(client, Conversation()).run(["one", "two"])
    shown = capsys.readouterr()
    assert "error: gone" in shown.err
    assert "Hello you\n2 tokens · 123.4 tok/s · first after 0.02 s\n" in shown.out
    assert turns(server.requests[1]) == [("user", "two")], "what got no answer was not said"


def test_ctrl_c_stops_the_answer_and_keeps_the_conversation(
    client: Client,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        """Someone presses Ctrl-C when they read "Hello"."""

        def write(self, text: str) -> int:
            super().write(text)
            if text == "Hello":
                raise KeyboardInterrupt
            return len(text)

    server.answers["ChatStream"] = stream_of("Bye")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    server.fail_first(1, "ChatStream", server.stall("Hello"))

    def lines() -> Iterator[str]:
        yield "one"
        assert server.cancelled.wait(5)
        yield "two"

    Talk(client, Conversation()).run(lines())
    assert "stopped" in terminal.getvalue()
    assert turns(server.requests[1]) == [("user", "one"), ("assistant", "Hello"), ("user", "two")]


def test_thoughts_are_dimmed(
    client: Client,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    server.answers["ChatStream"] = stream_of("<thi", "nk>hm</think>", "Hi")
    conversation = Conversation()
    Talk(client, conversation).run(["one"])
    shown = capsys.readouterr().out
    assert "\x1b[2mhm\x1b[0m" in shown
    assert "think>" not in shown
    assert conversation.turns[1].content == "<think>hm</think>Hi"


def test_commands(
    client: Client, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation = Conversation()
    talk = Talk(client, conversation)

    def say(*lines: str) -> str:
        talk.run(lines)
        return capsys.readouterr().out

    assert "/thinking [on|off|auto]" in say("/help")
    assert say("/system") == "system: nothing\n"
    assert say("/system Be brief.") == "system: Be brief.\n"
    assert say("/model") == "model: the default one\n"
    assert say("/model demo") == "model: demo\n"
    assert "torn" in say("/models")
    assert say("/thinking") == "thinking: auto\n"
    assert say("/thinking off") == "thinking: off\n"
    assert say("/nonsense") == "/nonsense is no command; /help lists them\n"
    say("one")
    assert server.requests[-1].model == "demo"
    assert not server.requests[-1].enable_thinking
    assert "tokens written    2" in say("/stats")
    say("/clear")
    assert conversation.turns == []
    assert say("/exit", "two") == ""


def test_changing_to_a_model_that_is_not_there_changes_nothing(
    client: Client, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = reason("MODEL_NOT_FOUND")
    server.answers["GetModel"] = refusal(StatusCode.NOT_FOUND, "no model 'x'", unknown)
    conversation = Conversation(model="demo")
    Talk(client, conversation).run(["/model x"])
    assert "error: no model 'x'" in capsys.readouterr().err
    assert conversation.model == "demo"


def test_greeting_names_the_model(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    Talk(client, Conversation()).greet()
    assert "demo (llama, 4.2 MB, context 2048, 8 slots)" in capsys.readouterr().out


def test_typed_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with create_pipe_input() as keyboard, create_app_session(keyboard, DummyOutput()):
        keyboard.send_text("one\rdropped\x03two\r\x04")  # Ctrl-C after "dropped", then Ctrl-D
        assert list(typed_lines()) == ["one", "two"]
    history = tmp_path / "corral" / "chat_history"
    assert "+one" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_lines_can_be_typed_where_no_history_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with create_pipe_input() as keyboard, create_app_session(keyboard, DummyOutput()):
        keyboard.send_text("one\r\x04")
        assert list(typed_lines()) == ["one"]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_thoughts_are_told_from_words_wherever_the_pieces_end(size: int) -> None:
    text = "a <b <think>hm <i></think>c<think></think>d</think> <thin"
    splitter = ThinkingSplitter()
    words, thoughts = "", ""
    for start in range(0, len(text), size):
        for part, is_thought in splitter.feed(text[start : start + size]):
            thoughts, words = (thoughts + part, words) if is_thought else (thoughts, words + part)
    rest, is_thought = splitter.end()
    assert (words + rest, thoughts, is_thought) == ("a <b cd</think> <thin", "hm <i>", False)
