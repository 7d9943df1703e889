"""A server with TLS that wants a token, as clients and the command reach it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import corral
from bench.running_server import RunningServer, running_server
from clients.conformance.authority import Authority, make_authority
from corral import Client, aio, user

TOKEN = "correct-horse"
CORRAL = str(Path(sys.executable).with_name("corral"))


@dataclass(frozen=True, slots=True)
class Closed:
    """A server that lets in only who has TOKEN, and how to know it."""

    server: RunningServer
    authority: Authority

    def client(self, token: str = TOKEN) -> Client:
        return Client(self.server.address, ca_file=self.authority.ca, token=token)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    directory = tmp_path_factory.mktemp("tls")
    authority = make_authority(directory)
    tokens = directory / "tokens"
    tokens.write_text(TOKEN)
    files = ("--tls-cert", authority.cert, "--tls-key", authority.key, "--token-file", tokens)
    with running_server(*map(str, files), "--log-level", "warning") as server:
        yield Closed(server, authority)


def test_a_client_with_the_authority_and_a_token_is_served(closed: Closed) -> None:
    with closed.client() as client:
        answer = client.inference.chat([user("What is 7 plus 5?")], temperature=0, timeout=20)
        assert "12" in str(answer)
        with client.inference.generate_stream("Once", max_tokens=4, timeout=20) as stream:
            assert list(stream)


@pytest.mark.asyncio
async def test_so_is_one_with_asyncio(closed: Closed) -> None:
    async with aio.Client(
        closed.server.address, ca_file=closed.authority.ca, token=TOKEN
    ) as client:
        answer = await client.inference.generate("Once", max_tokens=4, timeout=20)
        assert answer.finished.usage.completion_tokens == 4
        stream = client.inference.generate_stream("Once", max_tokens=4, timeout=20)
        assert [delta async for delta in stream]
        async with client.models.watch(timeout=20) as changes:
            assert (await anext(changes)).snapshot.models[0].id == "demo"


@pytest.mark.asyncio
@pytest.mark.parametrize("token", ["", "wrong"])
async def test_without_the_token_calls_are_refused(closed: Closed, token: str) -> None:
    address, ca = closed.server.address, closed.authority.ca
    with closed.client(token) as client:
        with pytest.raises(corral.Unauthenticated) as caught:
            client.models.list(timeout=20)
        assert caught.value.reason == "UNAUTHENTICATED"
        with pytest.raises(corral.Unauthenticated):
            list(client.inference.generate_stream("Once", timeout=20))
    async with aio.Client(address, ca_file=ca, token=token) as other:
        with pytest.raises(corral.Unauthenticated):
            await other.server.info(timeout=20)
        with pytest.raises(corral.Unauthenticated):
            [delta async for delta in other.inference.generate_stream("Once", timeout=20)]


def test_a_client_that_does_not_know_the_authority_sends_nothing(
    closed: Closed, tmp_path: Path
) -> None:
    other = make_authority(tmp_path)
    with Client(closed.server.address, ca_file=other.ca, token=TOKEN) as client:
        with pytest.raises(corral.ServerUnreachable):
            client.server.info(timeout=20)


def test_health_is_open_to_probes_without_a_token(closed: Closed) -> None:
    credentials = grpc.ssl_channel_credentials(closed.authority.ca.read_bytes())
    with grpc.secure_channel(closed.server.address, credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service="model/demo"), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CORRAL, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_command_takes_both_from_the_environment(closed: Closed) -> None:
    reach = {
        "CORRAL_ADDRESS": closed.server.address,
        "CORRAL_CA_FILE": str(closed.authority.ca),
    }
    models = command("models", **reach, CORRAL_TOKEN=TOKEN)
    assert (models.returncode, "demo" in models.stdout) == (0, True)
    refused = command("models", **reach, CORRAL_TOKEN="")
    assert refused.returncode == 1
    assert "CORRAL_TOKEN" in refused.stderr


def test_a_token_goes_without_tls_too(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    with running_server("--token-file", str(tokens)) as server:
        with Client(server.address, token=TOKEN) as client:
            assert [model.id for model in client.models.list(timeout=20)] == ["demo"]
        with Client(server.address) as client, pytest.raises(corral.Unauthenticated):
            client.models.list(timeout=20)


def test_a_server_without_its_files_says_so_and_ends(tmp_path: Path) -> None:
    missing = tmp_path / "tokens"
    ended = command("serve", "--address", "127.0.0.1:0", "--token-file", str(missing))
    assert ended.returncode == 1
    assert f"token_file {missing} cannot be read" in ended.stderr
    half = command("serve", "--address", "127.0.0.1:0", "--tls-cert", str(missing))
    assert half.returncode == 1
    assert "must have both tls_cert and tls_key" in half.stderr
