"""What the package shows and what it imports."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

import corral
from corral import (
    CacheType,
    Capability,
    FlashAttention,
    HubSource,
    LoraAdapter,
    Mode,
    ModelSource,
    Pooling,
    Priority,
    RopeScaling,
    RopeScalingType,
    SplitMode,
    aio,
    words,
)
from corral.channel import CHANNEL_OPTIONS, channel_arguments, default_address
from corral.cli.serving import SERVING, Can, serving_options
from corral.requests import (
    EngineOptions,
    LoadModelOptions,
    LoraOptions,
    RopeOptions,
    ServingOptions,
)
from corral.source import parse_hub_source, parse_source
from corral.v1.model_manager_pb2 import LoadModelRequest
from corral.v1.model_pb2 import LoadOptions


def test_exported_members() -> None:
    public = {
        name
        for name, member in vars(aio).items()
        if not name.startswith("_") and not inspect.ismodule(member)
    }
    assert aio.__all__ == sorted(public)


def test_the_stub_exports_what_the_package_does() -> None:
    stub = ast.parse(Path(corral.__file__).with_suffix(".pyi").read_text())
    *_, exported = stub.body
    assert isinstance(exported, ast.Assign)
    assert ast.literal_eval(exported.value) == corral.__all__
    assert all(hasattr(corral, name) for name in corral.__all__)


def test_importing_the_package_imports_nothing_of_it() -> None:
    assert modules_after("import corral") & {"corral", "grpc", "google"} == {"corral"}
    assert "grpc" in modules_after("from corral import Client")


def test_every_error_is_exported() -> None:
    def tree(error: type[Exception]) -> Iterator[str]:
        yield error.__name__
        for child in error.__subclasses__():
            yield from tree(child)

    assert set(tree(corral.CorralError)) <= set(corral.__all__)


@pytest.mark.parametrize("name", ["models", "inference", "server"])
def test_both_clients_have_the_same_methods(name: str) -> None:
    def methods(module: str) -> dict[str, list[inspect.Parameter]]:
        (kind,) = (
            member
            for member in vars(sys.modules[module]).values()
            if inspect.isclass(member) and member.__module__ == module
        )
        return {
            name: [p.replace(annotation=None) for p in inspect.signature(m).parameters.values()]
            for name, m in vars(kind).items()
            if inspect.isfunction(m)
        }

    assert methods(f"corral.sync.{name}") == methods(f"corral.aio.{name}")


def test_importing_the_client_imports_nothing_of_the_command_line() -> None:
    imported = modules_after("import corral.aio")
    assert not {"typer", "rich", "prompt_toolkit", "corral_server"} & imported


def test_the_command_line_imports_no_command_before_it_is_run() -> None:
    assert not {"grpc", "prompt_toolkit"} & modules_after("import corral.cli.app")


def test_the_server_s_commands_are_found_without_asking_all_distributions() -> None:
    imported = modules_after(
        "from corral.cli.app import Commands; Commands(name='corral').get_command(None, 'serve')"
    )
    assert "corral_server.cli.serving" in imported
    assert not {"importlib.metadata", "grpc"} & imported


def modules_after(statement: str) -> set[str]:
    """The modules that a process has imported after `statement`."""
    code = f"{statement}; import sys; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(shown.stdout.split())


def test_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_source("demo").HasField("demo")
    assert parse_source("/models/a.gguf").path == "/models/a.gguf"
    assert parse_source("a.gguf").path == str(tmp_path / "a.gguf")
    assert parse_source("./demo").path == str(tmp_path / "demo")
    assert parse_source(Path("demo")).path == str(tmp_path / "demo")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:ann/small/a.gguf", HubSource(repo="ann/small", file="a.gguf")),
        (
            "hf:ann/small/x/y/a.gguf@v1",
            HubSource(repo="ann/small", file="x/y/a.gguf", revision="v1"),
        ),
        ("hf:ann/small:Q8_0", HubSource(repo="ann/small", quantization="Q8_0")),
        (
            "hf:ann/small:Q8_0@refs/pr/1",
            HubSource(repo="ann/small", quantization="Q8_0", revision="refs/pr/1"),
        ),
    ],
)
def test_sources_of_the_hub(text: str, expected: HubSource) -> None:
    assert parse_source(text) == ModelSource(hub=expected) == parse_source(expected)
    assert parse_source(ModelSource(hub=expected)).hub == parse_hub_source(text)


@pytest.mark.parametrize(
    "text",
    ["", "hf:", "hf:ann", "hf:ann/small", "hf:ann/small/", "hf:ann/small:", "hf:/small/a.gguf"]
    + ["hf:ann//a.gguf", "hf:ann/small/a.gguf@", "hf:ann/small:Q8_0/a.gguf", "hf:ann:Q8_0"],
)
def test_sources_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hf:OWNER/REPO"):
        parse_source(text)


def test_only_sources_of_the_hub_can_be_pulled() -> None:
    with pytest.raises(ValueError, match="demo is not hf:OWNER/REPO"):
        parse_hub_source("demo")


@pytest.mark.parametrize(
    ("alias", "kind"),
    [
        (words.CacheTypeWord, CacheType),
        (words.CapabilityWord, Capability),
        (words.FlashAttentionWord, FlashAttention),
        (words.ModeWord, Mode),
        (words.PoolingWord, Pooling),
        (words.PriorityWord, Priority),
        (words.RopeScalingWord, RopeScalingType),
        (words.SplitModeWord, SplitMode),
    ],
)
def test_words_are_those_of_the_contract(alias: object, kind: EnumTypeWrapper) -> None:
    assert list(get_args(alias)) == words.words(kind)
    for value in filter(None, kind.values()):
        assert words.named(kind, words.word(kind, value)) == kind.Name(value)


def test_every_option_of_the_contract_can_be_given() -> None:
    def fields(message: type[Message]) -> set[str]:
        return set(message.DESCRIPTOR.fields_by_name)

    assert EngineOptions.__annotations__.keys() == fields(LoadOptions)
    assert RopeOptions.__annotations__.keys() == fields(RopeScaling)
    assert LoraOptions.__annotations__.keys() == fields(LoraAdapter)
    own = LoadModelOptions.__annotations__.keys() - EngineOptions.__annotations__.keys()
    assert own == fields(LoadModelRequest) - {"id", "source", "options"}


def test_every_option_of_the_contract_has_a_flag() -> None:
    assert tuple(Can) == get_args(words.CapabilityWord)
    flags = dict.fromkeys(SERVING, None)
    numbers: dict[str, object] = {
        name: 1 for name in LoadOptions.DESCRIPTOR.fields_by_name if name in flags
    }
    numbers["step_target"] = "1s"
    given = {**flags, **numbers, "device": ["a"], "tensor_split": "1", "lora": ["a"]}
    options = serving_options(
        {**given, "chat_template": Path(__file__), "rope_freq_base": 1, "seed": 1}
    )
    expected = ServingOptions.__annotations__.keys() - {"mode"}
    assert options.keys() == expected


def test_options_override_by_name() -> None:
    arguments = dict(channel_arguments({"grpc.keepalive_time_ms": 5, "grpc.new": "x"}))
    assert arguments == {**CHANNEL_OPTIONS, "grpc.keepalive_time_ms": 5, "grpc.new": "x"}


def test_default_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORRAL_ADDRESS", raising=False)
    assert default_address() == "127.0.0.1:50051"
    monkeypatch.setenv("CORRAL_ADDRESS", "example.com:1")
    assert default_address() == "example.com:1"
