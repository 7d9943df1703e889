"""Where a model comes from, written as one word: a path or `demo`."""

import os

from corral.v1.model_pb2 import DemoSource, ModelSource


def parse_source(text: str | os.PathLike[str]) -> ModelSource:
    """The source that `text` names.

    `demo` is the model embedded in Corral; everything else is a path (a file of that name is
    `./demo`). A relative path is made absolute here, because the server has another working
    directory. Raises ValueError for an empty text and for `hf:` sources, which come later.
    """
    path = os.fspath(text)
    if not path:
        raise ValueError("a source is a path or demo, not an empty text")
    if path.startswith("hf:"):
        raise ValueError(f"{path} is not supported yet: download the file and name its path")
    if text == "demo":
        return ModelSource(demo=DemoSource())
    return ModelSource(path=os.path.abspath(path))
