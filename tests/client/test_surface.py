"""What the package shows and what it imports."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import corral
from corral import aio
from corral.channel import CHANNEL_OPTIONS, channel_arguments, default_address
from corral.source import parse_source


@pytest.mark.parametrize("package", [corral, aio])
def test_exported_members(package: ModuleType) -> None:
    public = {
        name
        for name, member in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(member)
    }
    assert package.__all__ == sorted(public)


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
    code = "import sys, corral.aio; print(*{m.partition('.')[0] for m in sys.modules})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"typer", "rich", "prompt_toolkit", "corral_server"} & set(shown.stdout.split())


def test_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_source("demo").HasField("demo")
    assert parse_source("/models/a.gguf").path == "/models/a.gguf"
    assert parse_source("a.gguf").path == str(tmp_path / "a.gguf")
    assert parse_source("./demo").path == str(tmp_path / "demo")
    assert parse_source(Path("demo")).path == str(tmp_path / "demo")


@pytest.mark.parametrize(
    ("text", "why"), [("", "not an empty text"), ("hf:a/b/c", "not supported yet")]
)
def test_sources_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_source(text)


def test_options_override_by_name() -> None:
    arguments = dict(channel_arguments({"grpc.keepalive_time_ms": 5, "grpc.new": "x"}))
    assert arguments == {**CHANNEL_OPTIONS, "grpc.keepalive_time_ms": 5, "grpc.new": "x"}


def test_default_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORRAL_ADDRESS", raising=False)
    assert default_address() == "127.0.0.1:50051"
    monkeypatch.setenv("CORRAL_ADDRESS", "example.com:1")
    assert default_address() == "example.com:1"
