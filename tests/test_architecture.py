"""Arrows point down only, and four libraries stay in their places."""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest

import corral_server

ROOT = Path(corral_server.__file__).parent

_BOTTOM = {"config", "errors", "request"}
# The side of the Hub's child process that the server knows: what may be asked, and what is kept.
_HUB = {"hub.cache", "hub.messages", "hub.names"}
_MODELS = _BOTTOM | {"ipc", "log", "processors"} | _HUB
# Each part of the server, and the other parts, or files of parts, it may import.
ARROWS = {
    "__init__": set[str](),
    **dict.fromkeys([*_BOTTOM, "log", "processors"], set[str]()),
    "config": {"request"},
    "ipc": _BOTTOM,
    "llama": _BOTTOM | {"processors"},
    "engine": _BOTTOM | {"ipc", "llama", "processors"},
    "hub": {"config", "errors", "ipc.messages"},
    "models": _MODELS,
    "rpc": _BOTTOM | {"ipc", "log", "models", "hub.messages", "hub.names"},
    "settings": _BOTTOM | {"rpc", "hub.names"},
    "app": _BOTTOM | {"log", "models", "rpc", "settings.reload"},
    "cli": _BOTTOM | {"log", "models", "settings", "app"},
}


def part_of(file: PurePath) -> str:
    """The part a file belongs to: its folder, or itself at the top."""
    return file.with_suffix("").parts[0]


def imports(file: PurePath, source: str) -> Iterator[str]:
    """Every name that is imported anywhere in `source`, dotted and absolute."""
    package = ["corral_server", *file.parent.parts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def violations(file: PurePath, source: str) -> list[str]:
    """What `source` must not import, were it in `file` under corral_server/."""
    return [name for name in imports(file, source) if not _may_import(part_of(file), name)]


def _may_import(part: str, name: str) -> bool:
    library, *path = name.split(".")
    if library == "corral_server":
        other = path[0] if path and path[0] in ARROWS else "__init__"
        return bool({other, ".".join(path[:2])} & (ARROWS[part] | {part, "__init__"}))
    if library.startswith("grpc") or any("_pb2" in segment for segment in path):
        return part == "rpc"
    if library in ("ctypes", "llama_cpp"):
        return part == "llama"
    if library == "huggingface_hub":
        return part == "hub"
    if library == "asyncio":
        return part not in ("engine", "hub", "llama")
    return True


FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_imports_only_what_is_below_it(file: Path) -> None:
    assert violations(file, (ROOT / file).read_text()) == []


def test_every_part_has_its_place() -> None:
    assert {part_of(file) for file in FILES} <= set(ARROWS)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("models/registry.py", "from corral_server.rpc import convert"),
        ("models/registry.py", "import corral_server.engine.loop"),
        ("models/registry.py", "from ..engine import loop"),
        ("models/registry.py", "from .. import engine"),
        ("models/registry.py", "def f():\n    from corral_server.llama.model import LlamaModel"),
        ("rpc/convert.py", "from corral_server import app"),
        ("rpc/convert.py", "from corral_server.engine.gguf import read_header"),
        ("ipc/channel.py", "from corral_server.models.entry import ModelEntry"),
        ("engine/loop.py", "from corral_server.models.entry import ModelEntry"),
        ("llama/model.py", "from corral_server.ipc.messages import Ready"),
        ("llama/model.py", "from corral_server.engine.batch import Batch"),
        ("app.py", "from corral_server.cli import serve"),
        ("config.py", "from corral_server.errors import CorralError"),
        ("request.py", "import corral_server.ipc.messages"),
        ("models/hub.py", "from corral_server.hub.download import Download"),
        ("models/hub.py", "from corral_server.hub import pull"),
        ("models/registry.py", "from corral_server.settings.reload import plan_reload"),
        ("rpc/convert_models.py", "from corral_server.hub.cache import HubCache"),
        ("rpc/server.py", "from corral_server.settings.settle import Settings"),
        ("hub/pull.py", "from corral_server.models.hub import Hub"),
        ("hub/pull.py", "from corral_server.ipc.channel import Channel"),
        ("settings/format.py", "from corral_server.models.registry import ModelRegistry"),
        ("settings/format.py", "from corral_server.hub.catalog import choose"),
        ("app.py", "from corral_server.settings.settle import Settings"),
        ("models/registry.py", "import grpc"),
        ("models/registry.py", "import grpc.aio"),
        ("app.py", "from grpc_health.v1 import health"),
        ("models/entry.py", "from corral.v1 import model_pb2"),
        ("models/entry.py", "from corral.v1.model_pb2 import Model"),
        ("engine/runner.py", "import ctypes"),
        ("engine/runner.py", "from ctypes import c_int"),
        ("engine/runner.py", "from llama_cpp import llama_cpp"),
        ("models/hub.py", "from huggingface_hub import HfApi"),
        ("engine/loop.py", "import asyncio"),
        ("llama/model.py", "from asyncio import run"),
        ("hub/session.py", "import asyncio"),
    ],
)
def test_a_forbidden_import_is_found(file: str, source: str) -> None:
    assert len(violations(PurePath(file), source)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("rpc/convert.py", "import grpc\nfrom corral.v1 import model_pb2"),
        ("rpc/convert.py", "from corral_server.models.registry import ModelRegistry"),
        ("rpc/convert.py", "from . import limits\nfrom ..errors import CorralError"),
        ("engine/loop.py", "from corral_server.llama.context import NoCells"),
        ("llama/batch.py", "import ctypes"),
        ("models/registry.py", "import asyncio"),
        ("models/hub.py", "from corral_server.hub.names import check_source"),
        ("models/hub.py", "from corral_server.hub import names"),
        ("rpc/present_models.py", "from corral_server.hub.messages import HubFile"),
        ("settings/format.py", "from corral_server.rpc import limits"),
        ("settings/reload.py", "from corral_server.config import ServerConfig"),
        ("app.py", "from corral_server.settings.reload import plan_reload"),
        ("cli/serving.py", "from corral_server.settings.settle import Settings"),
        ("cli/__init__.py", "from corral_server import __version__, app"),
    ],
)
def test_an_import_from_below_is_allowed(file: str, source: str) -> None:
    assert violations(PurePath(file), source) == []
