"""Standard gRPC tools work against a running server, without a proto file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.running_server import RunningServer

BUF = Path(sys.executable).with_name("buf")


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
