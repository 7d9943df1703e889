"""What a load asks for, from Start to the engine that is ready."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corral_server.config import CacheType, Capability, FlashAttention, LoadOptions, LoraAdapter
from corral_server.errors import (
    CapabilityNotSupported,
    ChatTemplateFailed,
    CorralError,
    InvalidFields,
    ModelLoadFailed,
)
from corral_server.ipc.messages import Counted, CountTokens, Start, Submit
from corral_server.request import (
    Conversation,
    GenerationRequest,
    Message,
    SamplingParams,
    TextPrompt,
)
from engine_peer import text_of
from loaded_engine import LoadedEngine, loaded
from tiny_gguf import write_llama
from tiny_lora import random_pair, write_lora

HELLO = Conversation(messages=(Message(role="user", content="Hello"),))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("load") / "wide.gguf", embedding=64, context=1024)


@pytest.fixture(scope="module")
def plain(path: Path) -> Iterator[LoadedEngine]:
    with loaded(start(path)) as engine:
        yield engine


def start(path: Path, **options: Any) -> Start:
    sizes = {"context_size": 512, "slots": 4, "batch_size": 32, "threads": 1}
    return Start(str(path), LoadOptions(**(sizes | options)))


def answer(engine: LoadedEngine, text: str = "Hello world") -> str:
    request = GenerationRequest(
        prompt=TextPrompt(text=text), sampling=SamplingParams(temperature=0.0), max_tokens=16
    )
    engine.peer.send(Submit(1, request))
    return text_of(engine.peer.answers(1)[1])


def refusal(asked: Start) -> CorralError:
    with pytest.raises(CorralError) as raised, loaded(asked):
        pass
    return raised.value


def test_an_adapter_changes_what_is_said(path: Path, plain: LoadedEngine, tmp_path: Path) -> None:
    names = [f"blk.{layer}.attn_output.weight" for layer in range(2)]
    adapter = write_lora(tmp_path / "a.gguf", dict.fromkeys(names, random_pair(64, 64)))
    with loaded(start(path, lora=(LoraAdapter(str(adapter), 4.0),))) as engine:
        assert answer(engine) != answer(plain)
    with loaded(start(path, lora=(LoraAdapter(str(adapter), 0.0),))) as engine:
        assert answer(engine) == answer(plain)


def test_an_adapter_that_is_not_there_is_told_before_the_weights_are_read(path: Path) -> None:
    error = refusal(start(path, lora=(LoraAdapter("/nowhere/none.gguf"),)))
    assert isinstance(error, ModelLoadFailed)
    assert error.message == "an adapter cannot be loaded: none.gguf: there is no such file"


def test_an_adapter_of_another_model_is_told(path: Path, tmp_path: Path) -> None:
    adapter = write_lora(tmp_path / "a.gguf", {"blk.0.attn_q.weight": random_pair(32, 32)})
    error = refusal(start(path, lora=(LoraAdapter(str(adapter)),)))
    assert isinstance(error, ModelLoadFailed)
    assert error.message.startswith("the adapter a.gguf does not fit this model: ")


def test_a_chat_template_goes_before_the_files(path: Path, plain: LoadedEngine) -> None:
    with loaded(start(path, chat_template="{{ messages[0].content }}")) as engine:
        engine.peer.send(CountTokens(1, HELLO))
        assert engine.peer.expect(Counted).tokens == 1
    plain.peer.send(CountTokens(1, HELLO))
    assert plain.peer.expect(Counted).tokens > 1


def test_a_chat_template_that_is_broken_fails_the_load(path: Path) -> None:
    assert isinstance(refusal(start(path, chat_template="{% for %}")), ChatTemplateFailed)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"devices": ("CUDA7",)}, "options.devices"),
        ({"tensor_split": (1.0,) * 64}, "options.tensor_split"),
        (
            {"cache_type_v": CacheType.Q8_0, "flash_attention": FlashAttention.OFF},
            "options.cache_type_v",
        ),
    ],
)
def test_options_that_cannot_be_had_are_named(
    path: Path, options: dict[str, Any], field: str
) -> None:
    error = refusal(start(path, **options))
    assert isinstance(error, InvalidFields)
    assert [violation.field for violation in error.violations] == [field]


def test_quantized_caches_say_much_the_same(path: Path, plain: LoadedEngine) -> None:
    types = {"cache_type_k": CacheType.Q8_0, "cache_type_v": CacheType.Q8_0}
    with loaded(start(path, **types)) as engine:
        (ram,) = engine.probed.footprint
        assert answer(engine)
    assert ram.cache_bytes < plain.probed.footprint[0].cache_bytes


@pytest.mark.parametrize("context_size", [256, 300, 511])
def test_a_batch_is_never_longer_than_the_cache(path: Path, context_size: int) -> None:
    """llama.cpp dies of it."""
    with loaded(start(path, context_size=context_size, batch_size=512)) as engine:
        for call in range(4):
            prompt = TextPrompt(text="x" * 200)
            engine.peer.send(Submit(call, GenerationRequest(prompt=prompt, max_tokens=2)))
        engine.peer.answers(*range(4))


def test_as_many_slots_as_there_can_be(path: Path) -> None:
    with loaded(start(path, slots=64, batch_size=64, context_size=2048)) as engine:
        assert engine.ready.facts.slots == 64
        assert answer(engine)


def test_embed_alone_needs_no_context_to_generate(path: Path) -> None:
    asked = start(path)
    embeds = frozenset({Capability.EMBED})
    with loaded(Start(asked.path, asked.options, capabilities=embeds)) as engine:
        engine.peer.send(Submit(1, GenerationRequest(prompt=TextPrompt(text="x"))))
        assert isinstance(engine.rejection(), CapabilityNotSupported)
