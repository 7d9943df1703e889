"""What ModelManager is asked, from messages to what we work with."""

import re

from corral.v1 import model_manager_pb2 as pb
from corral.v1 import model_pb2
from corral_server.config import (
    GENERATIVE,
    Capability,
    DemoSource,
    HubSource,
    Mode,
    ModelSource,
    ModelSpec,
    PathSource,
    default_mode,
)
from corral_server.errors import InvalidFields
from corral_server.hub.names import check_source
from corral_server.rpc import limits, load_options
from corral_server.rpc.check import Checker

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
MODEL_ID_RULE = "must be 1 to 128 letters, digits and . _ - / :, beginning with a letter or digit"

CAPABILITIES = {
    model_pb2.CAPABILITY_GENERATE: Capability.GENERATE,
    model_pb2.CAPABILITY_CHAT: Capability.CHAT,
    model_pb2.CAPABILITY_EMBED: Capability.EMBED,
}
MODES = {model_pb2.MODE_SERVER: Mode.SERVER, model_pb2.MODE_DIRECT: Mode.DIRECT}

_MUST_NAME = "must name a model"


def model_spec(request: pb.LoadModelRequest) -> ModelSpec:
    """What LoadModel asks for. Raises InvalidFields."""
    check = Checker()
    _check_names(request, check)
    capabilities = _capabilities(request, check)
    keep_alive_s = None
    if request.HasField("keep_alive"):
        keep_alive_s = check.seconds(request.keep_alive, limits.KEEP_ALIVE_S, "keep_alive")
        check.require(not request.pinned, "keep_alive", "a pinned model is never unloaded for it")
    spec = ModelSpec(
        id=request.id,
        source=model_source(request.source, check),
        options=load_options.from_message(request.options, "options.", check),
        capabilities=capabilities,
        mode=_mode(request.mode, capabilities, check),
        aliases=tuple(request.aliases),
        keep_alive_s=keep_alive_s,
        pinned=request.pinned,
        evicts=request.evict_idle,
    )
    check.close()
    return spec


def predicted(request: pb.PredictMemoryRequest) -> ModelSpec:
    """What PredictMemory asks about. Raises InvalidFields."""
    check = Checker()
    capabilities = _capabilities(request, check)
    spec = ModelSpec(
        id="?",
        source=model_source(request.source, check),
        options=load_options.from_message(request.options, "options.", check),
        capabilities=capabilities,
        mode=_mode(request.mode, capabilities, check),
    )
    check.close()
    return spec


def _check_names(request: pb.LoadModelRequest, check: Checker) -> None:
    check.require(MODEL_ID.fullmatch(request.id) is not None, "id", MODEL_ID_RULE)
    check.count(request.aliases, limits.MAX_ALIASES, "aliases")
    for index, alias in enumerate(request.aliases[: limits.MAX_ALIASES]):
        good = MODEL_ID.fullmatch(alias) is not None
        check.require(good, f"aliases[{index}]", MODEL_ID_RULE)
        new = alias != request.id and alias not in request.aliases[:index]
        check.require(new, f"aliases[{index}]", "is named twice")


def model_source(source: model_pb2.ModelSource, check: Checker) -> ModelSource:
    """Where a model comes from; what is wrong with it is noted under `source`."""
    arm = source.WhichOneof("source")
    if arm == "path":
        check.path(source.path, "source.path")
        return PathSource(source.path)
    if arm == "hub":
        return hub_source(source.hub, "source.hub.", check)
    check.require(arm is not None, "source", "must be set: path, hub or demo")
    return DemoSource()


def hub_source(message: model_pb2.HubSource, prefix: str, check: Checker) -> HubSource:
    """A model on the Hub; what is wrong with it is noted under `prefix`."""
    source = HubSource(
        repo=message.repo,
        file=message.file,
        quantization=message.quantization,
        revision=message.revision or "main",
        force=message.force,
        offline=message.offline,
    )
    try:
        check_source(source)
    except InvalidFields as error:
        for violation in error.violations:
            check.bad(prefix + violation.field, violation.why)
    return source


def pulled(request: pb.PullModelRequest) -> HubSource:
    """What PullModel downloads. Raises InvalidFields."""
    check = Checker()
    source = hub_source(request.source, "source.", check)
    check.close()
    return source


def search_limit(request: pb.SearchHubRequest) -> int:
    """How many repositories SearchHub lists. Raises InvalidFields."""
    check = Checker()
    limit = request.limit if request.HasField("limit") else 10
    check.number(limit, limits.HUB_LIMIT, "limit")
    check.size(request.query, limits.MAX_QUERY_BYTES, "query")
    check.close()
    return limit


def _capabilities(
    request: pb.LoadModelRequest | pb.PredictMemoryRequest, check: Checker
) -> frozenset[Capability]:
    for value in request.capabilities:
        check.require(value in CAPABILITIES, "capabilities", f"{value} is no capability known here")
    asked = (CAPABILITIES[value] for value in request.capabilities if value in CAPABILITIES)
    return frozenset(asked) or GENERATIVE


def _mode(value: int, capabilities: frozenset[Capability], check: Checker) -> Mode:
    mode = check.choice(value, MODES, "mode")
    return MODES[mode] if mode else default_mode(capabilities)


def drain_timeout_s(request: pb.UnloadModelRequest, default_s: float) -> float:
    """How long UnloadModel lets calls go on. Raises InvalidFields."""
    check = Checker()
    check.require(request.id != "", "id", _MUST_NAME)
    timeout_s = default_s
    if request.HasField("drain_timeout"):
        timeout_s = check.seconds(request.drain_timeout, limits.DRAIN_TIMEOUT_S, "drain_timeout")
    check.close()
    return timeout_s


def named(value: str, field: str) -> str:
    """A name that must be given. Raises InvalidFields."""
    check = Checker()
    check.require(value != "", field, _MUST_NAME)
    check.close()
    return value
