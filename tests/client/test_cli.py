"""The commands, run in this process against a scripted server."""

from pathlib import Path

import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from corral import Priority
from corral.cli.failures import report
from corral.errors import BY_REASON, CorralError
from corral.v1.server_pb2 import GetLoadResponse

from .command import Corral
from .scripted_server import (
    ScriptedServer,
    reason,
    refusal,
    stream_of,
)


def test_generate_prints_the_text(corral: Corral, server: ScriptedServer) -> None:
    flags = "-m demo -n 3 --temperature 0 --top-k 5 --seed 7 --stop a --stop b".split()
    flags += "--cache-scope ann --priority low".split()
    result = corral("generate", "Once", *flags)
    assert (result.code, result.out, result.err) == (0, "Hello world\n", "")
    (request,) = server.requests
    assert (request.prompt, request.model, request.max_tokens) == ("Once", "demo", 3)
    assert list(request.stop.strings) == ["a", "b"]
    assert (request.cache_scope, request.priority) == ("ann", Priority.PRIORITY_LOW)
    assert {field.name: value for field, value in request.sampling.ListFields()} == {
        "temperature": 0,
        "top_k": 5,
        "seed": 7,
    }


def test_generate_reads_a_pipe(corral: Corral, server: ScriptedServer) -> None:
    corral("generate", stdin="two\nlines\n")
    assert server.requests[0].prompt == "two\nlines"


def test_generate_json_is_a_line_for_each_event(corral: Corral) -> None:
    started, first, second, finished = corral("generate", "Once", "--json").json
    assert started["started"]["sampling"]["seed"] == 7
    assert (first["delta"]["text"], second["delta"]["text"]) == ("Hello", " world")
    assert finished["finished"]["usage"]["total_tokens"] == 7


def test_text_for_a_terminal_cannot_steer_it(
    corral: Corral, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["GenerateStream"] = stream_of("\x1b[2Jgone")
    assert corral("generate", "Once").out == "\x1b[2Jgone\n", "a pipe gets what the model wrote"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert corral("generate", "Once").out == "\ufffd[2Jgone\n"


def test_tokenize_detokenize_count(corral: Corral, server: ScriptedServer) -> None:
    assert corral("tokenize", "Hello").out == "11\t'Hello'\n12\t' w\\\\xc3'\n"
    assert corral("tokenize", "--json", stdin="Hello\n").json[0]["tokens"][0]["id"] == 11
    assert corral("detokenize", "11", "12").out == "Hello\n"
    assert corral("detokenize", "11", "--json").json[0]["raw"] == "SGVsbG8="
    assert corral("count", "Hello").out == "2\n"
    assert corral("count", "Hello", "--json").json[0]["tokens"] == 2
    assert server.requests[1].text == "Hello"


def test_info(corral: Corral, server: ScriptedServer) -> None:
    shown = corral("info").out
    assert server.address in shown
    assert "2023-11-14 22:13:20 UTC" in shown
    assert corral("info", "--json").json[0]["api_versions"] == ["corral.v1"]


def test_stats_are_a_row_for_each_model(corral: Corral, server: ScriptedServer) -> None:
    head, busy, idle = corral("stats").out.splitlines()
    names = "id slots run wait cells used cached tok/s prompt/s hits delay"
    assert head.split() == names.split()
    assert busy.split() == "demo 8 3 2/256 2048 1000 500 99.4 1234.5 75% 1.5s".split()
    assert idle.split() == "idle 4 0 0/8 512 0 0 0.0 0.0 0%".split()
    corral("stats", "demo")
    assert [request.model for request in server.requests] == ["", "demo"]


def test_stats_json_is_the_message(corral: Corral) -> None:
    (found,) = corral("stats", "--json").json
    assert [model["model"] for model in found["models"]] == ["demo", "idle"]
    assert found["models"][0]["estimated_wait"] == "1.500s"
    assert "estimated_wait" not in found["models"][1]


def test_stats_say_where_there_are_none(corral: Corral, server: ScriptedServer) -> None:
    server.answers["GetLoad"] = lambda *_: GetLoadResponse()
    result = corral("stats")
    assert (result.code, result.out, result.err) == (0, "", "no model is ready\n")


def test_address_before_or_after_the_command(
    corral: Corral, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_ADDRESS", "127.0.0.1:1")
    assert corral("--address", server.address, "count", "Hello").code == 0
    assert corral("count", "Hello", "--address", server.address).code == 0
    assert corral("--address", "127.0.0.1:2", "count", "a", "--address", server.address).code == 0


def test_an_error_is_two_lines_and_exit_code_1(corral: Corral, server: ScriptedServer) -> None:
    unknown = reason("MODEL_NOT_FOUND")
    server.answers["GenerateStream"] = refusal(StatusCode.NOT_FOUND, "no model 'x'", unknown)
    result = corral("generate", "Once")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: no model 'x'\nsee what is there with: corral models\n"


def test_an_error_names_bad_fields(corral: Corral, server: ScriptedServer) -> None:
    bad = BadRequest()
    bad.field_violations.add(field="top_p", description="is 3")
    server.answers["GenerateStream"] = refusal(
        StatusCode.INVALID_ARGUMENT, "top_p: is 3", reason("INVALID_FIELD"), bad
    )
    assert corral("generate", "Once", "--top-p", "3").err.startswith("error: top_p: is 3\n")


def test_an_error_says_which_request_to_look_for(corral: Corral, server: ScriptedServer) -> None:
    fault = reason("INTERNAL", request_id="r9")
    server.answers["CountTokens"] = refusal(StatusCode.INTERNAL, "a fault", fault)
    assert corral("count", "x").err.endswith("the server's log says more (request r9)\n")


@pytest.mark.parametrize("kind", BY_REASON.values())
def test_every_error_says_what_to_do(
    kind: type[CorralError], capsys: pytest.CaptureFixture[str]
) -> None:
    report(kind("it went wrong"))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: it went wrong"
    assert second


def test_no_server(corral: Corral, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_ADDRESS", "127.0.0.1:1")
    result = corral("models")
    assert result.code == 1
    assert "cannot reach a Corral server at 127.0.0.1:1" in result.err
    assert "corral serve" in result.err and "--address" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["load", "m"],
        ["load", "m", "hf:a/b"],
        ["load", "m", "demo", "--offline"],
        ["load", "m", "demo", "--keep-alive", "soon"],
        ["load", "m", "demo", "--keep-alive", "-1s"],
        ["load", "m", "demo", "--tensor-split", "a,b"],
        ["load", "m", "demo", "--cache-type-k", "q9"],
        ["load", "m", "demo", "--capability", "fly"],
        ["load", "m", "demo", "--chat-template", "/nowhere"],
        ["pull", "demo"],
        ["embed"],
        ["generate", "x", "--temperature", "hot"],
        ["generate", "x", "--seed", "-1"],
        ["detokenize", "99999999999"],
    ],
)
def test_a_mistake_in_usage_is_exit_code_2(
    corral: Corral, server: ScriptedServer, arguments: list[str]
) -> None:
    result = corral(*arguments)
    assert (result.code, result.out, server.requests) == (2, "", [])
    assert "Error" in result.err


@pytest.mark.parametrize(("typed", "meant"), [("generat", "generate"), ("serv", "serve")])
def test_a_mistyped_command_is_told_what_is_like_it(corral: Corral, typed: str, meant: str) -> None:
    assert f"Did you mean '{meant}'?" in corral(typed).err


def test_text_that_is_not_utf8_is_refused(corral: Corral) -> None:
    result = corral("count", b"\xff".decode(errors="surrogateescape"))
    assert (result.code, result.err) == (2, "error: the text is not UTF-8\n")


def test_what_the_server_says_is_no_markup(corral: Corral, server: ScriptedServer) -> None:
    server.answers["CountTokens"] = refusal(StatusCode.ABORTED, "[red]\x1b[2Jgone")
    assert corral("count", "x").err == "error: [red]\ufffd[2Jgone\n"


def test_ctrl_c_ends_the_call(
    corral: Corral, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["GenerateStream"] = server.stall("Hello")
    monkeypatch.setattr("corral.cli.inference.write", interrupt)
    assert corral("generate", "Once").code == 130
    assert server.cancelled.wait(5)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_command_may_come_from_another_distribution(
    corral: Corral, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(tmp_path, "herd = herd_plugin:herd")
    (tmp_path / "herd_plugin.py").write_text(
        "import typer\n"
        "def herd(size: int = 1) -> None:\n"
        "    'Round them up.'\n"
        "    typer.echo(f'{size} rounded up')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert corral("herd", "--size", "3").out == "3 rounded up\n"
    assert "Round them up." in corral("--help").out


def test_a_plugin_may_have_commands_of_its_own(
    corral: Corral, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(tmp_path, "pen = pen_plugin:pen")
    (tmp_path / "pen_plugin.py").write_text(
        "import typer\n"
        "pen = typer.Typer(help='Where they sleep.')\n"
        "@pen.command()\n"
        "def count(address: str = '') -> None:\n"
        "    typer.echo(f'asked {address}')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert corral("--address", "there", "pen", "count").out == "asked there\n"
    assert "Where they sleep." in corral("--help").out
    assert "Usage: corral pen [OPTIONS] COMMAND" in corral("pen", "--help").out


def test_a_plugin_that_cannot_be_loaded_breaks_only_itself(
    corral: Corral, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(tmp_path, "herd = missing_module:herd")
    monkeypatch.syspath_prepend(tmp_path)
    result = corral("herd")
    assert result.code == 1
    assert "cannot be loaded: No module named 'missing_module'" in result.err
    assert corral("--help").code == 0


@pytest.mark.parametrize("command", ["serve", "config"])
def test_without_the_server_its_commands_say_how_to_get_it(
    corral: Corral, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for module in ("corral.cli", "corral.cli.app"):
        monkeypatch.setattr(f"{module}.SERVER", "a_server_that_is_not_here")
    result = corral(command)
    assert result.code == 1
    assert "pip install corral-server" in result.err


def install(folder: Path, entry_point: str) -> None:
    """Makes `folder` look like the place of an installed distribution with this entry point."""
    distribution = folder / "herd-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: herd\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text(f"[corral.tests]\n{entry_point}\n")
