"""Standard gRPC tools work against a running server as docs/tools.md and the README show them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bench.running_server import RunningServer, running_server
from documented import REQUIRE_TOOLS, Block, Command, read_blocks, run_as_shown

ROOT = Path(__file__).parent.parent.parent
BUF = Path(sys.executable).with_name("buf")
PATH = os.pathsep.join([str(ROOT / ".cache" / "go-tools"), str(BUF.parent), os.environ["PATH"]])
TOKEN = "a-token-of-32-characters-or-more"
PAGE = list(read_blocks(ROOT / "docs" / "tools.md"))
README = [block for block in read_blocks(ROOT / "README.md") if block.kind == "tools"]


def name(block: Block) -> str:
    return f"{block.heading}: {block.commands[0].tool}"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The variables of the commands. evans writes itself a configuration, here not in the home."""
    config = str(tmp_path_factory.mktemp("config"))
    return os.environ | {"PATH": PATH, "TOKEN": TOKEN, "XDG_CONFIG_HOME": config}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A server of its own: the page loads and unloads."""
    with running_server("--log-level", "warning") as running:
        yield running


@pytest.mark.parametrize("block", [*README, *(block for block in PAGE if not block.kind)], ids=name)
def test_a_tool_does_what_the_page_shows(
    server: RunningServer, env: Mapping[str, str], block: Block
) -> None:
    port = server.address.rpartition(":")[2]
    for command in block.commands:
        run_as_shown(command, port, ROOT, env)


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of `localhost`, its key, and a token."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "tokens").write_text(TOKEN + "\n")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", "key.pem"]
    command = ["openssl", "req", "-x509", *key, *subject, "-days", "2", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)
    return folder


@pytest.fixture(scope="module")
def tls_server(tls_folder: Path) -> Iterator[RunningServer]:
    names = {"--tls-cert": "cert.pem", "--tls-key": "key.pem", "--token-file": "tokens"}
    flags = [part for flag, file in names.items() for part in (flag, str(tls_folder / file))]
    with running_server("--log-level", "warning", *flags) as running:
        yield running


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("block", [block for block in PAGE if block.kind == "tls"], ids=name)
def test_a_tool_brings_certificate_and_token_as_the_page_shows(
    tls_server: RunningServer, tls_folder: Path, env: Mapping[str, str], block: Block
) -> None:
    port = tls_server.address.rpartition(":")[2]
    for command in block.commands:
        run_as_shown(command, port, tls_folder, env)


def test_a_page_that_shows_something_else_is_found(tmp_path: Path, env: Mapping[str, str]) -> None:
    run_as_shown(Command("buf --version", "1...\n"), "0", tmp_path, env)
    run_as_shown(Command("buf --version", ""), "0", tmp_path, env)
    for line, output in [("buf --version", "1...2 of something\n"), ("buf --no-such-flag", "")]:
        with pytest.raises(pytest.fail.Exception, match="where the page shows"):
            run_as_shown(Command(line, output), "0", tmp_path, env)


def test_a_missing_tool_skips_and_fails_where_tools_are_required(
    tmp_path: Path, env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Command("no-such-tool --version", "")
    monkeypatch.delenv(REQUIRE_TOOLS, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        run_as_shown(missing, "0", tmp_path, env)
    monkeypatch.setenv(REQUIRE_TOOLS, "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        run_as_shown(missing, "0", tmp_path, env)


def test_the_page_shows_every_tool() -> None:
    shown = {command.tool for block in PAGE for command in block.commands}
    assert shown == {"buf", "evans", "ghz", "grpc-health-probe", "grpcurl"}


def buf_curl(server: RunningServer, *arguments: str) -> str:
    command = [str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
def test_buf_curl_lists_every_method(demo: RunningServer, version: str) -> None:
    methods = buf_curl(
        demo, "--reflect-protocol", version, "--list-methods", f"http://{demo.address}"
    )
    for method in (
        "corral.v1.ModelManager/LoadModel",
        "corral.v1.Inference/ChatStream",
        "corral.v1.Server/GetServerInfo",
        "grpc.health.v1.Health/List",
    ):
        assert method in methods.splitlines()


def test_buf_curl_calls_without_a_proto_file(demo: RunningServer) -> None:
    request = {"messages": [{"role": "ROLE_USER", "content": "What is 7 plus 5?"}]}
    url = f"http://{demo.address}/corral.v1.Inference/Chat"
    answer = json.loads(
        buf_curl(demo, "-d", json.dumps(request | {"sampling": {"temperature": 0}}), url)
    )
    assert "12" in answer["message"]["content"]
    assert answer["finished"]["reason"] == "FINISH_REASON_EOS"


def test_buf_curl_reads_health(demo: RunningServer) -> None:
    url = f"http://{demo.address}/grpc.health.v1.Health/Check"
    answer = json.loads(buf_curl(demo, "-d", '{"service": "model/demo"}', url))
    assert answer == {"status": "SERVING"}
