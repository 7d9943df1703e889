"""The registry of models, awaited."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Unpack

import grpc

from corral import requests
from corral.aio.stream import StreamCall, receive
from corral.aio.watch import ModelWatch
from corral.errors import CorralError, translated
from corral.requests import LoadModelOptions, ServingOptions
from corral.source import Source
from corral.v1.model_manager_pb2 import (
    GetDefaultModelRequest,
    GetMemoryRequest,
    GetMemoryResponse,
    GetModelRequest,
    HubFile,
    HubRepo,
    ListHubFilesRequest,
    ListModelsRequest,
    LoadModelResponse,
    LoadProgress,
    PredictMemoryResponse,
    PulledModel,
    PullModelResponse,
    PullProgress,
    ResolveModelRequest,
    ResolveModelResponse,
    SearchHubRequest,
    SetDefaultModelRequest,
    WatchModelsResponse,
)
from corral.v1.model_manager_pb2_grpc import ModelManagerStub
from corral.v1.model_pb2 import HubSource, Model


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

    async def resolve(
        self, name: str | None = None, *, timeout: float | None = None
    ) -> ResolveModelResponse:
        request = ResolveModelRequest(name=name or "")
        with translated(self._address):
            return await self._stub.ResolveModel(request, timeout=timeout)

    def watch(
        self, *, after: WatchModelsResponse | None = None, timeout: float | None = None
    ) -> ModelWatch:
        return ModelWatch(self._stub.WatchModels, self._address, after=after, timeout=timeout)

    async def memory(self, *, timeout: float | None = None) -> GetMemoryResponse:
        with translated(self._address):
            return await self._stub.GetMemory(GetMemoryRequest(), timeout=timeout)

    async def predict_memory(
        self, source: Source, *, timeout: float | None = None, **options: Unpack[ServingOptions]
    ) -> PredictMemoryResponse:
        request = requests.predict_memory(source, **options)
        with translated(self._address):
            return await self._stub.PredictMemory(request, timeout=timeout)

    async def pull(
        self,
        source: str | HubSource,
        *,
        on_progress: Callable[[PullProgress], object] | None = None,
        timeout: float | None = None,
    ) -> PulledModel:
        pulled = None
        async for event in self.pull_events(source, timeout=timeout):
            if isinstance(event, PulledModel):
                pulled = event
            elif on_progress is not None:
                on_progress(event)
        if pulled is None:
            raise CorralError(f"the server ended the download of {source} without a model")
        return pulled

    def pull_events(
        self, source: str | HubSource, *, timeout: float | None = None
    ) -> AsyncIterator[PullProgress | PulledModel]:
        request = requests.pull(source)
        return self._pull_events(self._stub.PullModel(request, timeout=timeout))

    async def _pull_events(
        self, call: StreamCall[PullModelResponse]
    ) -> AsyncIterator[PullProgress | PulledModel]:
        async for event in receive(call, self._address):
            if event.HasField("progress"):
                yield event.progress
            elif event.HasField("pulled"):
                yield event.pulled

    async def search_hub(
        self, query: str, *, limit: int | None = None, timeout: float | None = None
    ) -> Sequence[HubRepo]:
        request = SearchHubRequest(query=query, limit=limit)
        with translated(self._address):
            response = await self._stub.SearchHub(request, timeout=timeout)
        return response.repos

    async def hub_files(
        self, repo: str, *, revision: str | None = None, timeout: float | None = None
    ) -> Sequence[HubFile]:
        request = ListHubFilesRequest(repo=repo, revision=revision or "")
        with translated(self._address):
            response = await self._stub.ListHubFiles(request, timeout=timeout)
        return response.files
