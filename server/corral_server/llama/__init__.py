"""llama.cpp: the only place with ctypes.

Of llama-cpp-python we use the table of the C API. Its package also brings a cache in SQLite, chat
formats and more, which take an engine 50 ms to import: the package is registered, but not run.
"""

import re
import sys
from importlib.util import find_spec, module_from_spec
from pathlib import Path


def _register(name: str) -> Path:
    """Makes the modules of a package importable without it; returns its own source."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed", name=name)
    if name not in sys.modules:
        sys.modules[name] = module_from_spec(spec)
    return Path(spec.origin)


def _version(source: Path) -> str:
    """The version a package gives itself; "" if it does not."""
    found = re.search(r'^__version__ = "(.+)"$', source.read_text(), re.MULTILINE)
    return found[1] if found else ""


PACKAGE_VERSION = _version(_register("llama_cpp"))
