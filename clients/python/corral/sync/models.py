"""The registry of models."""

from collections.abc import Callable, Iterator
from typing import Unpack

import grpc

from corral import requests
from corral.errors import CorralError, translated
from corral.requests import LoadModelOptions, Source
from corral.sync.stream import StreamCall, receive
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
        """Loads `source`, a path on the server's machine or `demo`, and returns the model, ready.

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
