"""Where a model comes from, written as one word: a path, `demo`, or a model on the Hub."""

import os
import re
from typing import TypeAlias

from corral.v1.model_pb2 import DemoSource, HubSource, ModelSource

Source: TypeAlias = str | os.PathLike[str] | HubSource | ModelSource

HUB = re.compile(
    r"hf:(?P<repo>[^/:@]+/[^/:@]+)(?:/(?P<file>[^@]+)|:(?P<quantization>[^/:@]+))"
    r"(?:@(?P<revision>.+))?"
)
HUB_FORMS = "hf:OWNER/REPO/FILE[@REVISION] or hf:OWNER/REPO:QUANTIZATION[@REVISION]"


def parse_source(source: Source) -> ModelSource:
    """The source that a word names; a message is taken as it is.

    `demo` is the model embedded in Corral, `hf:` begins a model on the Hub; everything else is a
    path (a file named demo is `./demo`). A relative path is made absolute here, because the
    server has another working directory. Raises ValueError for what is none of these.
    """
    if isinstance(source, ModelSource):
        return source
    if isinstance(source, HubSource):
        return ModelSource(hub=source)
    path = os.fspath(source)
    if not path:
        raise ValueError("a source is a path, demo or hf:OWNER/REPO/FILE, not an empty text")
    if path.startswith("hf:"):
        return ModelSource(hub=parse_hub_source(path))
    if source == "demo":
        return ModelSource(demo=DemoSource())
    return ModelSource(path=os.path.abspath(path))


def parse_hub_source(text: str) -> HubSource:
    """The model on the Hub that `text` names. Raises ValueError where it names none."""
    match = HUB.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not {HUB_FORMS}")
    return HubSource(
        repo=match["repo"],
        file=match["file"],
        quantization=match["quantization"],
        revision=match["revision"],
    )
