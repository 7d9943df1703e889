"""The channel to one server, with a sub-client per service."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import grpc

from corral.aio.inference import Inference
from corral.aio.models import ModelManager
from corral.aio.server import Server
from corral.channel import channel_arguments, default_address
from corral.credentials import authorization, channel_credentials, show_token_aio


class Client:
    """A client of one Corral server, for asyncio. Arguments and errors as corral.Client's.

        async with Client() as client:
            await client.models.load("demo", "demo", make_default=True)
            print(await client.inference.chat([user("What is the capital of France?")]))

    It belongs to the event loop it is made in; gRPC allows one such loop in a process.
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
        self.address = address or default_address()
        arguments = channel_arguments(options)
        credentials = credentials or channel_credentials(tls, ca_file)
        shown = authorization(token)
        interceptors = None if shown is None else show_token_aio(shown)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(
                self.address, arguments, interceptors=interceptors
            )
        else:
            self._channel = grpc.aio.secure_channel(
                self.address, credentials, arguments, interceptors=interceptors
            )
        self.models = ModelManager(self._channel, self.address)
        self.inference = Inference(self._channel, self.address)
        self.server = Server(self._channel, self.address)

    async def close(self) -> None:
        """Ends running calls and closes the channel."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
