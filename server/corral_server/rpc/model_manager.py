"""The ModelManager service."""

from collections.abc import AsyncIterator

from corral.v1 import model_manager_pb2 as pb
from corral.v1 import model_pb2
from corral_server.errors import NoDefaultModel
from corral_server.ipc.messages import LoadStage
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.machine import read_memory
from corral_server.models.registry import ModelRegistry, RegistryObserver
from corral_server.rpc import convert_models, present_models
from corral_server.rpc.call import Call
from corral_server.rpc.watch import ModelWatch

_PROGRESS_STEPS = 10  # for each stage of a load


class ModelManager(RegistryObserver):
    def __init__(
        self, registry: ModelRegistry, *, drain_timeout_s: float, instance_id: str
    ) -> None:
        """`drain_timeout_s`: for unloads that do not name one. `instance_id`: of this start."""
        self._registry = registry
        self._drain_timeout_s = drain_timeout_s
        self._watch = ModelWatch(instance_id, self._snapshot)
        self._steps: dict[str, tuple[LoadStage, int]] = {}  # the last one told, by model
        registry.subscribe(self)

    async def LoadModel(
        self, request: pb.LoadModelRequest, call: Call
    ) -> AsyncIterator[pb.LoadModelResponse]:
        call.notes["model"] = request.id
        spec = convert_models.model_spec(request)
        entry = await self._registry.load(spec, make_default=request.make_default)
        async for progress in entry.watch_load():
            yield pb.LoadModelResponse(progress=present_models.load_progress(progress))
        yield pb.LoadModelResponse(model=self._model(entry))

    async def UnloadModel(
        self, request: pb.UnloadModelRequest, call: Call
    ) -> pb.UnloadModelResponse:
        call.notes["model"] = request.id
        drain_timeout_s = convert_models.drain_timeout_s(request, self._drain_timeout_s)
        await self._registry.unload(
            request.id, drain_timeout_s=drain_timeout_s, force=request.force
        )
        return pb.UnloadModelResponse(remaining_ids=[entry.id for entry in self._entries()])

    async def ListModels(self, request: pb.ListModelsRequest, call: Call) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=[self._model(entry) for entry in self._entries()])

    async def GetModel(self, request: pb.GetModelRequest, call: Call) -> pb.GetModelResponse:
        return pb.GetModelResponse(model=self._model(self._registry.resolve(request.id)))

    async def SetDefaultModel(
        self, request: pb.SetDefaultModelRequest, call: Call
    ) -> pb.SetDefaultModelResponse:
        call.notes["model"] = request.id
        entry = self._registry.set_default(convert_models.named(request.id, "id"))
        return pb.SetDefaultModelResponse(model=self._model(entry))

    async def GetDefaultModel(
        self, request: pb.GetDefaultModelRequest, call: Call
    ) -> pb.GetDefaultModelResponse:
        if self._registry.default_id is None:
            raise NoDefaultModel("there is no default model; SetDefaultModel chooses one")
        return pb.GetDefaultModelResponse(model=self._model(self._registry.resolve("")))

    async def ResolveModel(
        self, request: pb.ResolveModelRequest, call: Call
    ) -> pb.ResolveModelResponse:
        entry, reason = self._registry.explain(request.name)
        return pb.ResolveModelResponse(
            model=self._model(entry),
            reason=present_models.resolve_reason(reason),
            would_load=entry.state is ModelState.NOT_LOADED,
        )

    async def WatchModels(
        self, request: pb.WatchModelsRequest, call: Call
    ) -> AsyncIterator[pb.WatchModelsResponse]:
        async for change in self._watch.watch(request):
            yield change

    async def GetMemory(self, request: pb.GetMemoryRequest, call: Call) -> pb.GetMemoryResponse:
        memory, entries = self._registry.memory, self._entries()
        limits = memory.limits
        ram = present_models.ram(read_memory(), limits.of_ram, entries)
        gpus = [
            present_models.gpu(device, limits.devices.get(device.name), entries)
            for device in memory.devices
        ]
        models = [
            pb.ModelMemory(id=entry.id, devices=present_models.footprints(entry))
            for entry in entries
        ]
        return pb.GetMemoryResponse(devices=[ram, *gpus], models=models)

    async def PredictMemory(
        self, request: pb.PredictMemoryRequest, call: Call
    ) -> pb.PredictMemoryResponse:
        probed = await self._registry.predict(convert_models.predicted(request))
        wanted = {part.device: part.total_bytes for part in probed.footprint}
        memory = self._registry.memory
        return pb.PredictMemoryResponse(
            devices=[present_models.footprint(part) for part in probed.footprint],
            fits=memory.shortage(wanted) is None,
            fits_after_eviction=memory.victims(wanted) is not None,
            facts=present_models.facts(probed.facts, None),
        )

    async def SearchHub(self, request: pb.SearchHubRequest, call: Call) -> pb.SearchHubResponse:
        limit = convert_models.search_limit(request)
        repos = await self._registry.hub.search(request.query, limit)
        return pb.SearchHubResponse(repos=[present_models.hub_repo(repo) for repo in repos])

    async def ListHubFiles(
        self, request: pb.ListHubFilesRequest, call: Call
    ) -> pb.ListHubFilesResponse:
        files = await self._registry.hub.list_files(request.repo, request.revision or "main")
        return pb.ListHubFilesResponse(files=[present_models.hub_file(file) for file in files])

    async def PullModel(
        self, request: pb.PullModelRequest, call: Call
    ) -> AsyncIterator[pb.PullModelResponse]:
        pull = self._registry.hub.pull(convert_models.pulled(request))
        async for progress in pull.watch():
            yield present_models.pull_progress(progress)
        yield present_models.pulled(await pull.result())

    # What watchers are told.

    def changed(self, entry: ModelEntry) -> None:
        self._steps.pop(entry.id, None)
        if entry.state is ModelState.UNLOADED:
            self._watch.record(pb.WatchModelsResponse(removed=pb.ModelRemoved(id=entry.id)))
        else:
            self._watch.record(pb.WatchModelsResponse(changed=self._model(entry)))

    def progressed(self, entry: ModelEntry) -> None:
        step = (entry.progress.stage, int(entry.progress.fraction * _PROGRESS_STEPS))
        if step == self._steps.get(entry.id):
            return
        # In steps, since each takes a place in the journal from a change of state.
        self._steps[entry.id] = step
        progress = present_models.load_progress(entry.progress)
        told = pb.ModelProgress(id=entry.id, progress=progress)
        self._watch.record(pb.WatchModelsResponse(progress=told))

    def default_changed(self, id: str | None) -> None:
        told = pb.DefaultChanged(id=id or "")
        self._watch.record(pb.WatchModelsResponse(default_changed=told))

    def stop_watches(self) -> None:
        """Ends all WatchModels calls, which would hold up the server's graceful stop."""
        self._watch.close()

    def _snapshot(self) -> pb.ModelsSnapshot:
        return pb.ModelsSnapshot(models=[self._model(entry) for entry in self._entries()])

    def _entries(self) -> list[ModelEntry]:
        return self._registry.entries()

    def _model(self, entry: ModelEntry) -> model_pb2.Model:
        return present_models.model(
            entry,
            is_default=entry.id == self._registry.default_id,
            on_demand=self._registry.is_declared(entry.id),
        )
