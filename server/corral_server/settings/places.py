"""Kinds that say where something is: files, addresses, the sources of models."""

import re
from pathlib import Path
from typing import Any

from corral_server.config import DemoSource, HubSource, ModelSource, PathSource
from corral_server.errors import InvalidFields
from corral_server.hub.names import check_source
from corral_server.rpc.limits import MAX_PATH_BYTES
from corral_server.settings.kinds import Kind, Text, shown


class File(Kind):
    """A path, made absolute: `~` is somebody's home, all else begins where it was written."""

    def read(self, raw: Any, base: Path) -> str:
        text = Text(MAX_PATH_BYTES).read(raw, base)
        if not text.isprintable():
            raise ValueError("must not have control characters")
        try:
            return str((base / Path(text).expanduser()).absolute())
        except RuntimeError as error:
            raise ValueError(f"must be a path, and {text.split('/')[0]} is nobody's") from error


class TokenFile(File):
    """A file with a secret in it, which many will try to write here instead."""

    def read(self, raw: Any, base: Path) -> str:
        if isinstance(raw, str) and raw.strip().startswith("hf_"):
            raise ValueError("must be the path of a file that holds the token, not the token")
        return super().read(raw, base)


class Address(Kind):
    """Where to listen."""

    _FORM = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):(\d{1,5})")

    def read(self, raw: Any, base: Path) -> str:
        match = self._FORM.fullmatch(raw) if isinstance(raw, str) else None
        if match is None or int(match[1]) > 65535:
            expected = "HOST:PORT, an IPv6 address in brackets, the port 0 to 65535"
            raise ValueError(f"must be {expected}, not {shown(raw)}")
        return match[0]


class Endpoint(Kind):
    """The address of a Hub. What is shown to people must hold no password."""

    _FORM = re.compile(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?")

    def read(self, raw: Any, base: Path) -> str:
        if not isinstance(raw, str) or not self._FORM.fullmatch(raw):
            raise ValueError("must be an http or https address without user, password or query")
        return raw.rstrip("/")


class Source(Kind):
    """Where a model comes from, in one word."""

    _HUB = re.compile(
        r"hf:(?P<repo>[^/:@]+/[^/:@]+)(?::(?P<quantization>[^/:@]+)|/(?P<file>[^@]+))"
        r"(?:@(?P<revision>.+))?"
    )

    def read(self, raw: Any, base: Path) -> ModelSource:
        text = Text(MAX_PATH_BYTES).read(raw, base)
        if text == "demo":
            return DemoSource()
        if text.startswith("hf:"):
            return self._on_hub(text)
        return PathSource(File().read(text, base))

    def _on_hub(self, text: str) -> HubSource:
        match = self._HUB.fullmatch(text)
        if match is None:
            form = "hf:OWNER/REPO/FILE[@REVISION] or hf:OWNER/REPO:QUANTIZATION[@REVISION]"
            raise ValueError(f"must be {form}, not {shown(text)}")
        source = HubSource(
            repo=match["repo"],
            file=match["file"] or "",
            quantization=match["quantization"] or "",
            revision=match["revision"] or "main",
        )
        try:
            check_source(source)
        except InvalidFields as error:
            raise ValueError(f"{shown(text)}: {error}") from error
        return source

    def write(self, value: ModelSource) -> str:
        match value:
            case DemoSource():
                return "demo"
            case PathSource():
                return value.path
        what = f":{value.quantization}" if value.quantization else f"/{value.file}"
        return f"hf:{value.repo}{what}@{value.revision}"
