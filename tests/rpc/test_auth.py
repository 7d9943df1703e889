"""Who may call a server that wants tokens, and what a server does with bad files."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corral.v1 import inference_pb2, inference_pb2_grpc, server_pb2, server_pb2_grpc
from corral_server.config import ServerConfig
from corral_server.errors import ConfigInvalid, Unauthenticated
from corral_server.models.registry import ModelRegistry
from corral_server.rpc.auth import Tokens
from corral_server.rpc.descriptors import HEALTH, REFLECTION_V1
from corral_server.rpc.server import GrpcServer
from rpc.service import Refusal, refusal

RIGHT, OTHER, WRONG = "correct-horse", "battery-staple", "correct-hors"
FILE = f"# who may call\n\n{RIGHT}\n  {OTHER}  \n"


def shown(token: str, scheme: str = "Bearer") -> list[tuple[str, str]]:
    return [("authorization", f"{scheme} {token}")]


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "tokens"
    path.write_text(FILE)
    return str(path)


@pytest_asyncio.fixture
async def channel(registry: ModelRegistry, token_file: str) -> AsyncIterator[grpc.aio.Channel]:
    """To a server that wants a token."""
    server = GrpcServer(registry, ServerConfig(address="127.0.0.1:0", token_file=token_file))
    port = await server.start()
    server.health.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


def info(channel: grpc.aio.Channel, metadata: Any = ()) -> Any:
    stub: Any = server_pb2_grpc.ServerStub(channel)
    return stub.GetServerInfo(server_pb2.GetServerInfoRequest(), metadata=metadata, timeout=10)


def assert_refused(refused: Refusal) -> None:
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "UNAUTHENTICATED",
    )
    assert not any(token in refused.message for token in (RIGHT, OTHER, WRONG))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "metadata", [shown(RIGHT), shown(OTHER), shown(RIGHT, "bearer")], ids=["1st", "2nd", "small"]
)
async def test_every_token_of_the_file_lets_in(channel: grpc.aio.Channel, metadata: Any) -> None:
    assert (await info(channel, metadata)).version


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "metadata",
    [
        (),
        shown(WRONG),
        shown(f"{RIGHT}x"),
        shown(""),
        shown("# who may call"),
        shown(RIGHT, "Basic"),
        [("authorization", RIGHT)],
    ],
)
async def test_everything_else_is_refused(channel: grpc.aio.Channel, metadata: Any) -> None:
    assert_refused(await refusal(info(channel, metadata)))


@pytest.mark.asyncio
async def test_a_stream_is_refused_without_its_request_being_read(
    channel: grpc.aio.Channel,
) -> None:
    stub: Any = inference_pb2_grpc.InferenceStub(channel)
    # Its field is out of range: whoever read it would say INVALID_FIELD.
    request = inference_pb2.GenerateStreamRequest(prompt="a", max_tokens=-1)
    assert_refused(await refusal(stub.GenerateStream(request, timeout=10).read()))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "method", [f"/{HEALTH}/List", "/corral.v1.Nothing/At", f"/{REFLECTION_V1}/Other"]
)
async def test_no_method_says_whether_it_is_there(channel: grpc.aio.Channel, method: str) -> None:
    call: Any = channel.unary_unary(method)
    assert_refused(await refusal(call(b"", timeout=10)))


@pytest.mark.asyncio
async def test_reflection_wants_a_token(channel: grpc.aio.Channel) -> None:
    reflect: Any = channel.stream_stream(f"/{REFLECTION_V1}/ServerReflectionInfo")
    assert_refused(await refusal(reflect(iter([b""]), timeout=10).read()))


@pytest.mark.asyncio
async def test_health_is_open(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest()
    assert (await stub.Check(request, timeout=10)).status == health_pb2.HealthCheckResponse.SERVING
    watch = stub.Watch(request, timeout=10)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


@pytest.mark.asyncio
async def test_a_refused_call_is_logged_without_its_token(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await refusal(info(channel, shown(WRONG)))
    assert "GetServerInfo UNAUTHENTICATED" in caplog.text
    assert WRONG not in caplog.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "tokens has no token in it"),
        ("\n# nobody\n", "tokens has no token in it"),
        ("good\nnot good\n", "tokens:2: a token has printable ASCII characters and no spaces"),
        ("gööd\n", "tokens:1: a token has printable ASCII characters and no spaces"),
    ],
)
def test_a_file_without_tokens_lets_no_server_start(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        Tokens.read(str(path))
    assert str(caught.value).endswith(why)
    assert "good" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read: No such file"):
        Tokens.read(str(tmp_path / "tokens"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match="cannot be read: it is no text"):
        Tokens.read(str(tmp_path / "bytes"))


def test_a_token_is_compared_whole() -> None:
    tokens = Tokens([RIGHT])
    tokens.admit(f"Bearer {RIGHT}")
    for token in (RIGHT[:-1], RIGHT.upper(), f"{RIGHT} {RIGHT}", "é"):
        with pytest.raises(Unauthenticated):
            tokens.admit(f"Bearer {token}")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("address", "warns"), [("0.0.0.0:0", True), ("127.0.0.1:0", False), ("localhost:0", False)]
)
async def test_tokens_that_others_can_read_are_a_warning(
    registry: ModelRegistry,
    token_file: str,
    caplog: pytest.LogCaptureFixture,
    address: str,
    warns: bool,
) -> None:
    server = GrpcServer(registry, ServerConfig(address=address, token_file=token_file))
    await server.start()
    await server.stop(0)
    assert ("tokens can be read on their way" in caplog.text) is warns


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("cert", "key", "why"),
    [
        ("no PEM", "no PEM", "are not a certificate and its key"),
        (None, "no PEM", "cannot be read: No such file"),
    ],
)
async def test_a_bad_certificate_lets_no_server_start(
    registry: ModelRegistry, tmp_path: Path, cert: str | None, key: str | None, why: str
) -> None:
    paths = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    for path, text in zip(paths, (cert, key), strict=True):
        if text is not None:
            path.write_text(text)
    config = ServerConfig(tls_cert=str(paths[0]), tls_key=str(paths[1]))
    with pytest.raises(ConfigInvalid, match=why):
        GrpcServer(registry, config)


@pytest.mark.asyncio
async def test_half_a_pair_lets_no_server_start(registry: ModelRegistry) -> None:
    with pytest.raises(ConfigInvalid, match="go together"):
        GrpcServer(registry, ServerConfig(tls_key="key.pem"))
