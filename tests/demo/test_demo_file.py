"""The file that is shipped: small, complete, and what the sources here describe."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo import template

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "server" / "corral_server" / "assets" / "demo.gguf"
MIB = 2**20


def test_file_weighs_at_most_four_mebibytes() -> None:
    assert MODEL.read_bytes()[:4] == b"GGUF"
    assert MODEL.stat().st_size <= 4 * MIB


def test_training_left_its_facts_and_its_curve() -> None:
    facts = json.loads((ROOT / "demo" / "training.json").read_text(encoding="utf-8"))
    assert facts["steps"] == max(facts["plan"]["lesson_ends"].values())
    assert facts["final_loss"] < 1
    assert (ROOT / "demo" / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def fields() -> dict[str, Any]:
    gguf = pytest.importorskip("gguf")
    reader = gguf.GGUFReader(MODEL)
    return {name: field.contents() for name, field in reader.fields.items()}


def test_header_describes_a_llama(fields: dict[str, Any]) -> None:
    assert fields["general.architecture"] == "llama"
    assert fields["llama.context_length"] >= 1024


def test_template_is_the_one_in_the_sources(fields: dict[str, Any]) -> None:
    assert fields["tokenizer.chat_template"] == template.TEMPLATE_PATH.read_text(encoding="utf-8")


def test_control_tokens_are_control_and_markup_is_not(fields: dict[str, Any]) -> None:
    kinds = dict(
        zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"], strict=True)
    )
    control, user_defined = 3, 4
    assert kinds["<|im_end|>"] == kinds["<|im_start|>"] == kinds["<|endoftext|>"] == control
    assert kinds["<tool_call>"] == kinds["</think>"] == user_defined
    tokens = fields["tokenizer.ggml.tokens"]
    assert tokens[fields["tokenizer.ggml.eos_token_id"]] == "<|im_end|>"


def test_every_byte_has_a_token(fields: dict[str, Any]) -> None:
    assert sum(len(token) == 1 for token in fields["tokenizer.ggml.tokens"]) == 256
