"""The channel to one server, with a sub-client per service."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import grpc

from corral.channel import channel_arguments, default_address
from corral.credentials import ShowToken, authorization, channel_credentials
from corral.sync.inference import Inference
from corral.sync.models import ModelManager
from corral.sync.server import Server


class Client:
    """A client of one Corral server.

        with Client() as client:
            client.models.load("demo", "demo", make_default=True)
            print(client.inference.chat([user("What is the capital of France?")]))

    It may be shared between threads. Nothing is connected before the first call. Every method
    that calls the server raises a CorralError when the call fails, and takes `timeout`, in
    seconds, after which it raises DeadlineExceeded; None waits forever.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        tls: bool | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        """Opens a channel to `address`: HOST:PORT, unix:PATH or whatever else gRPC resolves;
        by default CORRAL_ADDRESS, else 127.0.0.1:50051.

        `tls` says whether the channel is encrypted; by default it is if there is a `ca_file`: the
        authorities to trust, PEM; by default CORRAL_CA_FILE, else the system's. `token` is shown
        with every call; by default CORRAL_TOKEN, and "" shows none. `credentials` are gRPC's own,
        instead of `tls` and `ca_file`. `options` override corral.channel.CHANNEL_OPTIONS by name.
        Raises OSError if `ca_file` cannot be read.
        """
        self.address = address or default_address()
        arguments = channel_arguments(options)
        credentials = credentials or channel_credentials(tls, ca_file)
        shown = authorization(token)
        if credentials is None:
            self._channel = grpc.insecure_channel(self.address, arguments)
        else:
            self._channel = grpc.secure_channel(self.address, credentials, arguments)
        if shown is not None:
            self._channel = grpc.intercept_channel(self._channel, ShowToken(shown))
        self.models = ModelManager(self._channel, self.address)
        self.inference = Inference(self._channel, self.address)
        self.server = Server(self._channel, self.address)

    def close(self) -> None:
        """Ends running calls and closes the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
