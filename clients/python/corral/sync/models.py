"""The registry of models."""

from collections.abc import Callable, Iterator, Sequence
from typing import Unpack

import grpc

from corral import requests
from corral.errors import CorralError, translated
from corral.requests import LoadModelOptions, ServingOptions
from corral.source import Source
from corral.sync.stream import StreamCall, receive
from corral.sync.watch import ModelWatch
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
    """Loads, unloads and lists models, and knows the default one."""

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._stub = ModelManagerStub(channel)
        self._address = address

    def load(
        self,
        id: str,
        source: Source,
        *,
        on_progress: Callable[[LoadProgress], object] | None = None,
        timeout: float | None = None,
        **options: Unpack[LoadModelOptions],
    ) -> Model:
        """Loads `source` and returns the model, ready.

        `source` is a path on the server's machine, `demo`, `hf:OWNER/REPO/FILE[@REVISION]`,
        `hf:OWNER/REPO:QUANTIZATION[@REVISION]`, or the contract's message. The keywords are those
        of corral.requests.LoadModelOptions.

        A load of the same id with the same options is joined, or answers at once; with others
        it raises LoadConflict. The load belongs to the server: giving up waiting does not end
        it, `unload` does. `on_progress` is called for every step.
        """
        model = None
        for event in self.load_events(id, source, timeout=timeout, **options):
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
    ) -> Iterator[LoadProgress | Model]:
        """As `load`, step by step; the last item is the model."""
        request = requests.load(id, source, **options)
        return self._load_events(self._stub.LoadModel(request, timeout=timeout))

    def _load_events(self, call: StreamCall[LoadModelResponse]) -> Iterator[LoadProgress | Model]:
        for event in receive(call, self._address):
            if event.HasField("progress"):
                yield event.progress
            elif event.HasField("model"):
                yield event.model

    def unload(
        self,
        id: str,
        *,
        drain_timeout: float | None = None,
        force: bool = False,
        timeout: float | None = None,
    ) -> list[str]:
        """Unloads a model and returns the ids that remain, once its memory is back.

        Running calls may go on for `drain_timeout` seconds, 30 by default, and then end with
        ModelUnloaded; with `force` they end at once.
        """
        request = requests.unload(id, drain_timeout=drain_timeout, force=force)
        with translated(self._address):
            response = self._stub.UnloadModel(request, timeout=timeout)
        return list(response.remaining_ids)

    def list(self, *, timeout: float | None = None) -> list[Model]:
        """All models the server knows, loading and failed ones too, in order of their ids."""
        with translated(self._address):
            response = self._stub.ListModels(ListModelsRequest(), timeout=timeout)
        return list(response.models)

    def get(self, id: str | None = None, *, timeout: float | None = None) -> Model:
        """One model; the default one if `id` is None."""
        request = GetModelRequest(id=id or "")
        with translated(self._address):
            response = self._stub.GetModel(request, timeout=timeout)
        return response.model

    def set_default(self, id: str, *, timeout: float | None = None) -> Model:
        """Makes a model that is ready or loading the one for calls that name none."""
        request = SetDefaultModelRequest(id=id)
        with translated(self._address):
            response = self._stub.SetDefaultModel(request, timeout=timeout)
        return response.model

    def get_default(self, *, timeout: float | None = None) -> Model:
        """The default model; raises NoDefaultModel if there is none."""
        with translated(self._address):
            response = self._stub.GetDefaultModel(GetDefaultModelRequest(), timeout=timeout)
        return response.model

    def resolve(
        self, name: str | None = None, *, timeout: float | None = None
    ) -> ResolveModelResponse:
        """Which model a name leads to, and why: an id, an alias, or None for the default one.

        Loads nothing; `would_load` says whether a call would.
        """
        request = ResolveModelRequest(name=name or "")
        with translated(self._address):
            return self._stub.ResolveModel(request, timeout=timeout)

    def watch(
        self, *, after: WatchModelsResponse | None = None, timeout: float | None = None
    ) -> ModelWatch:
        """All there is, then every change, until it is left; see ModelWatch.

        `after` is the last message that was seen, to go on from there. `timeout` is for the
        whole; errors are raised by the watch.
        """
        return ModelWatch(self._stub.WatchModels, self._address, after=after, timeout=timeout)

    def memory(self, *, timeout: float | None = None) -> GetMemoryResponse:
        """Budget, reserved, measured and free memory, by device and by model."""
        with translated(self._address):
            return self._stub.GetMemory(GetMemoryRequest(), timeout=timeout)

    def predict_memory(
        self, source: Source, *, timeout: float | None = None, **options: Unpack[ServingOptions]
    ) -> PredictMemoryResponse:
        """What a model would take, and whether there is room. Loads nothing; a model of the Hub
        must be in the server's cache."""
        request = requests.predict_memory(source, **options)
        with translated(self._address):
            return self._stub.PredictMemory(request, timeout=timeout)

    def pull(
        self,
        source: str | HubSource,
        *,
        on_progress: Callable[[PullProgress], object] | None = None,
        timeout: float | None = None,
    ) -> PulledModel:
        """Downloads a model from the Hub into the server's cache and loads nothing.

        `source` is `hf:OWNER/REPO/FILE[@REVISION]`, `hf:OWNER/REPO:QUANTIZATION[@REVISION]`, or
        a HubSource. The download belongs to the server and goes on if this is given up; asking
        again joins it. `on_progress` is called for every step.
        """
        pulled = None
        for event in self.pull_events(source, timeout=timeout):
            if isinstance(event, PulledModel):
                pulled = event
            elif on_progress is not None:
                on_progress(event)
        if pulled is None:
            raise CorralError(f"the server ended the download of {source} without a model")
        return pulled

    def pull_events(
        self, source: str | HubSource, *, timeout: float | None = None
    ) -> Iterator[PullProgress | PulledModel]:
        """As `pull`, step by step; the last item says where the file is."""
        request = requests.pull(source)
        return self._pull_events(self._stub.PullModel(request, timeout=timeout))

    def _pull_events(
        self, call: StreamCall[PullModelResponse]
    ) -> Iterator[PullProgress | PulledModel]:
        for event in receive(call, self._address):
            if event.HasField("progress"):
                yield event.progress
            elif event.HasField("pulled"):
                yield event.pulled

    def search_hub(
        self, query: str, *, limit: int | None = None, timeout: float | None = None
    ) -> Sequence[HubRepo]:
        """Repositories on the Hub with GGUF files, most downloaded first; 10 by default."""
        request = SearchHubRequest(query=query, limit=limit)
        with translated(self._address):
            response = self._stub.SearchHub(request, timeout=timeout)
        return response.repos

    def hub_files(
        self, repo: str, *, revision: str | None = None, timeout: float | None = None
    ) -> Sequence[HubFile]:
        """The models in a repository on the Hub, in order of size; a split one counts as one."""
        request = ListHubFilesRequest(repo=repo, revision=revision or "")
        with translated(self._address):
            response = self._stub.ListHubFiles(request, timeout=timeout)
        return response.files
