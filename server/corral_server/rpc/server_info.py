"""The Server service."""

import time
from importlib.metadata import version

from corral.v1 import server_pb2 as pb
from corral_server.rpc import present_models
from corral_server.rpc.call import Call

_API_VERSIONS = ("corral.v1",)
_FEATURES = ("chat", "embed", "generate", "hub", "memory", "tokenize", "watch")


class Server:
    def __init__(self, *, instance_id: str, max_request_bytes: int) -> None:
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
