"""The ModelManager service."""

from collections.abc import AsyncIterator

from corral.v1 import model_manager_pb2 as pb
from corral.v1 import model_pb2
from corral_server.errors import NoDefaultModel
from corral_server.models.entry import ModelEntry
from corral_server.models.registry import ModelRegistry
from corral_server.rpc import convert, present
from corral_server.rpc.call import Call


class ModelManager:
    def __init__(self, registry: ModelRegistry, *, drain_timeout_s: float) -> None:
        """`drain_timeout_s`: for unloads that do not name one."""
        self._registry = registry
        self._drain_timeout_s = drain_timeout_s

    async def LoadModel(
        self, request: pb.LoadModelRequest, call: Call
    ) -> AsyncIterator[pb.LoadModelResponse]:
        call.notes["model"] = request.id
        spec = convert.model_spec(request)
        entry = await self._registry.load(spec, make_default=request.make_default)
        async for progress in entry.watch_load():
            yield present.load_progress(progress)
        yield pb.LoadModelResponse(model=self._model(entry))

    async def UnloadModel(
        self, request: pb.UnloadModelRequest, call: Call
    ) -> pb.UnloadModelResponse:
        call.notes["model"] = request.id
        drain_timeout_s = convert.drain_timeout_s(request, self._drain_timeout_s)
        await self._registry.unload(
            request.id, drain_timeout_s=drain_timeout_s, force=request.force
        )
        return pb.UnloadModelResponse(
            remaining_ids=[entry.id for entry in self._registry.entries()]
        )

    async def ListModels(self, request: pb.ListModelsRequest, call: Call) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(
            models=[self._model(entry) for entry in self._registry.entries()]
        )

    async def GetModel(self, request: pb.GetModelRequest, call: Call) -> pb.GetModelResponse:
        return pb.GetModelResponse(model=self._model(self._registry.resolve(request.id)))

    async def SetDefaultModel(
        self, request: pb.SetDefaultModelRequest, call: Call
    ) -> pb.SetDefaultModelResponse:
        call.notes["model"] = request.id
        entry = self._registry.set_default(convert.named(request.id, "id"))
        return pb.SetDefaultModelResponse(model=self._model(entry))

    async def GetDefaultModel(
        self, request: pb.GetDefaultModelRequest, call: Call
    ) -> pb.GetDefaultModelResponse:
        if self._registry.default_id is None:
            raise NoDefaultModel("there is no default model; SetDefaultModel chooses one")
        entry = self._registry.resolve(self._registry.default_id)
        return pb.GetDefaultModelResponse(model=self._model(entry))

    def _model(self, entry: ModelEntry) -> model_pb2.Model:
        return present.model(entry, is_default=entry.id == self._registry.default_id)
