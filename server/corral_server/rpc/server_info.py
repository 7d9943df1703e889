"""The Server service."""

import asyncio
import time
from importlib.metadata import version

from corral.v1 import server_pb2 as pb
from corral_server.errors import EngineRestarting, ModelFailed, ModelUnloaded
from corral_server.models.entry import ModelEntry, ModelState
from corral_server.models.registry import ModelRegistry
from corral_server.rpc import present_models
from corral_server.rpc.call import Call

_API_VERSIONS = ("corral.v1",)
_FEATURES = (
    "cache_scope",
    "chat",
    "embed",
    "generate",
    "hub",
    "load",
    "memory",
    "priority",
    "tokenize",
    "watch",
)
# Without an engine there is nothing to ask, and asking must not load a model.
_TO_COME = (ModelState.NOT_LOADED, ModelState.LOADING)
# How a call ends when the engine does.
_GONE = (EngineRestarting, ModelFailed, ModelUnloaded)


class Server:
    def __init__(
        self, registry: ModelRegistry, *, instance_id: str, max_request_bytes: int
    ) -> None:
        self._registry = registry
        self._info = pb.GetServerInfoResponse(
            version=version("corral-server"),
            api_versions=_API_VERSIONS,
            features=_FEATURES,
            llama_cpp_python_version=version("llama-cpp-python"),
            started_at=present_models.timestamp(time.time()),
            instance_id=instance_id,
            max_request_bytes=max_request_bytes,
        )

    async def GetServerInfo(
        self, request: pb.GetServerInfoRequest, call: Call
    ) -> pb.GetServerInfoResponse:
        return self._info

    async def GetLoad(self, request: pb.GetLoadRequest, call: Call) -> pb.GetLoadResponse:
        return pb.GetLoadResponse(
            models=await (self._load_of(request.model) if request.model else self._loads())
        )

    async def _load_of(self, name: str) -> list[pb.ModelLoad]:
        """Of the model `name` leads to; of one whose first load is still to end, nothing. Takes no
        lease: a model that is watched and not called is idle. Raises ModelNotFound, or why the
        model cannot be called."""
        entry = self._registry.resolve(name)
        return [] if entry.state in _TO_COME else [await _ask(entry)]

    async def _loads(self) -> list[pb.ModelLoad]:
        """Of all models that are ready, and still are when they have answered."""
        entries = self._registry.entries()
        ready = [entry for entry in entries if entry.state is ModelState.READY]
        answers = await asyncio.gather(*map(_ask_if_there, ready))
        return [load for load in answers if load is not None]


async def _ask(entry: ModelEntry) -> pb.ModelLoad:
    return present_models.load(entry.id, await entry.ready_engine().load_report())


async def _ask_if_there(entry: ModelEntry) -> pb.ModelLoad | None:
    try:
        return await _ask(entry)
    except _GONE:
        return None
