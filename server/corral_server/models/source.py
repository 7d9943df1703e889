"""Where a model's file is."""

from importlib.resources import files
from pathlib import Path
from typing import assert_never

from corral_server.config import DemoSource, ModelSource, PathSource


def locate(source: ModelSource) -> Path:
    """The path an engine opens. Looks at nothing: what is wrong with the file, the engine finds."""
    match source:
        case PathSource():
            return Path(source.path)
        case DemoSource():
            return Path(str(files("corral_server") / "assets" / "demo.gguf"))
        case _:
            assert_never(source)
