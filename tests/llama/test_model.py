"""Models load with their progress told, or fail with what llama.cpp said."""

from pathlib import Path

import pytest
from llama_cpp import llama_cpp as c

from corral_server.errors import ModelLoadFailed
from corral_server.llama import library
from corral_server.llama.model import LlamaModel
from tiny_gguf import (
    CHAT_TEMPLATE,
    write_llama,
    write_model_that_fails_to_load,
    write_split,
)
from tiny_llama import load_model


def test_progress_goes_from_nothing_to_all(model_path: Path) -> None:
    told: list[float] = []

    def tell(fraction: float) -> bool:
        told.append(fraction)
        return True

    LlamaModel.load([model_path], tell).close()
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


def test_a_load_can_be_given_up(model_path: Path) -> None:
    with pytest.raises(ModelLoadFailed):
        LlamaModel.load([model_path], lambda _: False)


def test_a_failed_load_says_what_llama_cpp_said(tmp_path: Path) -> None:
    path = write_model_that_fails_to_load(tmp_path / "bad.gguf")
    with pytest.raises(ModelLoadFailed, match="unheard-of"):
        load_model(path)


def test_a_missing_file_is_a_failed_load(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="llama.cpp could not load it"):
        load_model(tmp_path / "none.gguf")


def test_a_failed_load_does_not_speak_of_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed):
        load_model(write_model_that_fails_to_load(tmp_path / "bad.gguf"))
    with pytest.raises(ModelLoadFailed) as caught:
        load_model(tmp_path / "none.gguf")
    assert "unheard-of" not in caught.value.message


def test_a_split_model_is_the_same_as_a_whole_one(model: LlamaModel, tmp_path: Path) -> None:
    split = load_model(*write_split(tmp_path))
    try:
        assert c.llama_model_n_params(split.handle) == c.llama_model_n_params(model.handle)
        ours, theirs = split.vocabulary.full_pieces, model.vocabulary.full_pieces
        assert all(ours[token] == theirs[token] for token in range(model.vocabulary.size))
    finally:
        split.close()


def test_what_a_model_says_of_itself(model: LlamaModel) -> None:
    assert (model.trained_context, model.can_generate) == (256, True)


@pytest.mark.parametrize("tools", [True, False])
def test_the_only_template_serves_with_and_without_tools(model: LlamaModel, tools: bool) -> None:
    assert model.chat_template(tools=tools) == CHAT_TEMPLATE


@pytest.mark.parametrize("tools", [True, False])
def test_a_model_may_have_no_template(tmp_path: Path, tools: bool) -> None:
    model = load_model(write_llama(tmp_path / "bare.gguf", chat_template=None))
    try:
        assert model.chat_template(tools=tools) is None
    finally:
        model.close()


@pytest.mark.parametrize(
    ("file_type", "name"),
    [(0, "F32"), (1, "F16"), (7, "Q8_0"), (15, "Q4_K_M"), (None, ""), (999_999, "")],
)
def test_quantizations_have_the_names_people_use(file_type: int | None, name: str) -> None:
    assert library.quantization_name(file_type) == name
