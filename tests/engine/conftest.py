"""One tiny model for all tests of the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corral_server.llama.model import LlamaModel
from corral_server.llama.vocabulary import Vocabulary
from tiny_gguf import write_llama
from tiny_llama import load_model


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("engine") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_model(tiny_path: Path) -> Iterator[LlamaModel]:
    model = load_model(tiny_path)
    yield model
    model.close()


@pytest.fixture(scope="session")
def vocabulary(tiny_model: LlamaModel) -> Vocabulary:
    return tiny_model.vocabulary
