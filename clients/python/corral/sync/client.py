"""The channel to one server, with a sub-client per service."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import grpc

from corral.channel import channel_arguments, default_address
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
        credentials: grpc.ChannelCredentials | None = None,
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        """Opens a channel to `address`: HOST:PORT, unix:PATH or whatever else gRPC resolves;
        by default CORRAL_ADDRESS, else 127.0.0.1:50051.

        `credentials` turn on TLS. `options` override corral.channel.CHANNEL_OPTIONS by name.
        """
        self.address = address or default_address()
        arguments = channel_arguments(options)
        if credentials is None:
            self._channel = grpc.insecure_channel(self.address, arguments)
        else:
            self._channel = grpc.secure_channel(self.address, credentials, arguments)
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
