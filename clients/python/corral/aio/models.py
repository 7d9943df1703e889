"""The registry of models, awaited."""

from collections.abc import AsyncIterator, Callable
from typing import Unpack

import grpc

from corral import requests
from corral.aio.stream import StreamCall, receive
from corral.errors import CorralError, translated
from corral.requests import LoadModelOptions, Source
from corral.v1.model_manager_pb2 import (
    GetDefaultModelRequest,
    GetModelRequest,
    ListModelsRequest,
    LoadModelResponse,
    LoadProgress,
    SetDefaultModelRequest,
)
from corral.v1.model_manager_pb2_grpc import ModelManagerStub
from corral.v1.model_pb2 import Model


class ModelManager:
    """Methods, arguments and errors are those of corral.sync.models.ModelManager."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self._stub = ModelManagerStub(channel)
        self._address = address

    async def load(
        self,
        id: str,
        source: Source,
        *,
        on_progress: Callable[[LoadProgress], object] | None = None,
        timeout: float | None = None,
        **options: Unpack[LoadModelOptions],
    ) -> Model:
        model = None
        async for event in self.load_events(id, source, timeout=timeout, **options):
            if isinstance(event, Model):
                model = event
            elif on_progress is not None:
                on_progress(event)
        if model is None:
            raise CorralError(f"the server ended the load of {id} without a model")
        return model

    def load_events(
        self,
        id: str,
        source: Source,
        *,
        timeout: float | None = None,
        **options: Unpack[LoadModelOptions],
    ) -> AsyncIterator[LoadProgress | Model]:
        request = requests.load(id, source, **options)
        return self._load_events(self._stub.LoadModel(request, timeout=timeout))

    async def _load_events(
        self, call: StreamCall[LoadModelResponse]
    ) -> AsyncIterator[LoadProgress | Model]:
        async for event in receive(call, self._address):
            if event.HasField("progress"):
                yield event.progress
            elif event.HasField("model"):
                yield event.model

    async def unload(
        self,
        id: str,
        *,
        drain_timeout: float | None = None,
        force: bool = False,
        timeout: float | None = None,
    ) -> list[str]:
        request = requests.unload(id, drain_timeout=drain_timeout, force=force)
        with translated(self._address):
            response = await self._stub.UnloadModel(request, timeout=timeout)
        return list(response.remaining_ids)

    async def list(self, *, timeout: float | None = None) -> list[Model]:
        with translated(self._address):
            response = await self._stub.ListModels(ListModelsRequest(), timeout=timeout)
        return list(response.models)

    async def get(self, id: str | None = None, *, timeout: float | None = None) -> Model:
        request = GetModelRequest(id=id or "")
        with translated(self._address):
            response = await self._stub.GetModel(request, timeout=timeout)
        return response.model

    async def set_default(self, id: str, *, timeout: float | None = None) -> Model:
        request = SetDefaultModelRequest(id=id)
        with translated(self._address):
            response = await self._stub.SetDefaultModel(request, timeout=timeout)
        return response.model

    async def get_default(self, *, timeout: float | None = None) -> Model:
        with translated(self._address):
            response = await self._stub.GetDefaultModel(GetDefaultModelRequest(), timeout=timeout)
        return response.model
