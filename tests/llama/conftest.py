"""One tiny model for all tests of what llama.cpp does for us."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from corral_server.llama.model import LlamaModel
from tiny_gguf import write_llama
from tiny_llama import load_model

# A busy machine is slow now and then; pytest's own timeout bounds a test.
settings.register_profile("corral", deadline=None)
settings.load_profile("corral")


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("llama") / "tiny.gguf")


@pytest.fixture(scope="session")
def model(model_path: Path) -> Iterator[LlamaModel]:
    model = load_model(model_path)
    yield model
    model.close()
