"""Where a model's file is: on this machine, in this package, or on the Hub."""

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import assert_never

import msgspec

from corral_server.config import (
    DemoSource,
    HubSource,
    LoraAdapter,
    ModelSource,
    ModelSpec,
    PathSource,
)
from corral_server.errors import PathNotAllowed
from corral_server.hub.messages import PullProgress
from corral_server.models.hub import Hub


class SourceLocator:
    """Finds files; downloads what has to be. What is wrong with a file, the engine finds out."""

    def __init__(self, hub: Hub, model_dirs: tuple[str, ...] = ()) -> None:
        """`model_dirs`: where paths may lead, links followed; empty means anywhere."""
        self._hub = hub
        self._model_dirs = tuple(Path(folder).resolve() for folder in model_dirs)

    async def locate(
        self, source: ModelSource, on_download: Callable[[PullProgress], None] = lambda _: None
    ) -> Path:
        """The path an engine opens. `on_download` hears how far a download is.

        Raises PathNotAllowed or what the Hub says.
        """
        match source:
            case PathSource():
                return self.allowed(source.path)
            case DemoSource():
                return Path(str(files("corral_server") / "assets" / "demo.gguf"))
            case HubSource():
                return await self._download(source, on_download)
            case _:
                assert_never(source)

    async def locate_here(self, source: ModelSource) -> Path:
        """As `locate`, but downloads nothing: what is not in the cache is not found."""
        if isinstance(source, HubSource):
            source = msgspec.structs.replace(source, offline=True, force=False)
        return await self.locate(source)

    def admit(self, spec: ModelSpec) -> ModelSpec:
        """`spec` with its adapters where an engine opens them. Raises PathNotAllowed."""
        options = spec.options
        adapters = tuple(
            LoraAdapter(str(self.allowed(adapter.path)), adapter.scale) for adapter in options.lora
        )
        return replace(spec, options=msgspec.structs.replace(options, lora=adapters))

    def allowed(self, path: str) -> Path:
        """`path` itself, or where it leads if it may lead only into the model directories."""
        if not self._model_dirs:
            return Path(path)
        real = Path(path).resolve()
        if not any(real.is_relative_to(folder) for folder in self._model_dirs):
            raise PathNotAllowed(
                f"{Path(path).name}: this server loads models from its model directories only",
                file=Path(path).name,
            )
        return real

    async def _download(
        self, source: HubSource, on_download: Callable[[PullProgress], None]
    ) -> Path:
        pull = self._hub.pull(source)
        async for progress in pull.watch():
            on_download(progress)
        return Path((await pull.result()).path)
