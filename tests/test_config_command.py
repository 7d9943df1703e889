"""`corral config`, and the flags it shares with `corral serve`."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corral_server.cli.configuration import config
from corral_server.settings import CONFIG
from corral_server.settings.overrides import VARIABLES

GOOD = '[models.a]\nsource = "demo"\ndefault = true\n[models.b]\nsource = "hf:o/r:Q8_0"\n'
BAD = '[server]\nadress = "h:1"\n[models.a]\nsource = "demo"\nslots = 0\n'


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Config = Callable[..., Result]


@pytest.fixture
def corral_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Runs `corral config ARGUMENTS` in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    for name in (CONFIG, *VARIABLES):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, **environment: str) -> Result:
        result = CliRunner().invoke(config, arguments, env=environment)
        return Result(result.exit_code, result.stdout, result.stderr)

    return run


def write(text: str, name: str = "corral.toml") -> None:
    Path(name).write_text(text)


def test_check_of_a_good_file(corral_config: Config) -> None:
    write(GOOD + 'start = "on_demand"')
    expected = Result(0, "corral.toml: 2 models, 1 on demand; good\n", "")
    assert corral_config("check") == expected
    assert corral_config("check", "corral.toml") == expected


def test_check_counts_models(corral_config: Config) -> None:
    write(GOOD)
    assert corral_config("check").out == "corral.toml: 2 models; good\n"
    write("[models]")
    assert corral_config("check").out == "corral.toml: 0 models; good\n"
    write("")
    assert corral_config("check").out == "corral.toml: 1 model; good\n"


def test_check_tells_every_problem_and_fails(corral_config: Config) -> None:
    write(BAD)
    assert corral_config("check") == Result(
        1,
        "",
        "error: corral.toml:2: server.adress: is not known; did you mean address?\n"
        "error: corral.toml:5: models.a.slots: must be 1 to 64, not 0\n",
    )


def test_check_without_a_file(corral_config: Config) -> None:
    result = corral_config("check")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: corral.toml: cannot be read: No such file or directory\n"


def test_check_takes_the_file_of_the_environment(corral_config: Config) -> None:
    write(GOOD, "other.toml")
    assert corral_config("check", CORRAL_CONFIG="other.toml").out.startswith("other.toml: 2 models")


def test_check_warns_of_what_does_no_harm(corral_config: Config, tmp_path: Path) -> None:
    write('[models.a]\nsource = "a.gguf"\nlora = [{ path = "/b.gguf" }]')
    result = corral_config("check", CORRAL_GRACES="1")
    assert result.code == 0
    assert result.err.splitlines() == [
        "warning: CORRAL_GRACES is not known and has no effect; did you mean CORRAL_GRACE?",
        f"warning: corral.toml:1: models.a: {tmp_path}/a.gguf does not exist here",
        "warning: corral.toml:1: models.a: /b.gguf does not exist here",
    ]


def test_show_says_who_said_it(corral_config: Config) -> None:
    write(GOOD)
    arguments = ("show", "corral.toml", "--address", "h:1", "--model", "c=demo", "--default", "c")
    result = corral_config(*arguments, CORRAL_GRACE="5")
    said = [line for line in result.out.splitlines() if "  # " in line]
    assert said == [
        'address = "h:1"  # --address',
        'grace = "5s"  # CORRAL_GRACE',
        'source = "demo"  # corral.toml:2',
        'source = "hf:o/r:Q8_0@main"  # corral.toml:5',
        'source = "demo"  # --model',
        "default = true  # --default",
    ]
    assert (result.code, result.err) == (0, "")


def test_show_reads_no_file_that_was_not_named(corral_config: Config) -> None:
    write(BAD)
    assert "[models.demo]" in corral_config("show").out
    assert corral_config("show", CORRAL_CONFIG="corral.toml").code == 1


def test_show_json(corral_config: Config) -> None:
    write(GOOD)
    result = corral_config("show", "corral.toml", "--json", "--budget", "RAM=1 GiB,CUDA0=2 GiB")
    document = json.loads(result.out)
    assert document["budget"] == {
        "devices": {"value": {"RAM": "1 GiB", "CUDA0": "2 GiB"}, "source": "--budget"}
    }
    assert document["models"]["a"]["default"] == {"value": True, "source": "corral.toml:3"}


def test_a_token_is_never_shown(corral_config: Config, tmp_path: Path) -> None:
    secret = "hf_abcdefgh"
    write(secret, "token")
    write('[hub]\ntoken_file = "token"')
    shown = corral_config("show", "corral.toml", HF_TOKEN=secret, CORRAL_HUB_TOKEN=secret)
    assert f'token_file = "{tmp_path}/token"' in shown.out
    for text in (f'token = "{secret}"', f'token_file = "{secret}"', f'token_file = "{secret}'):
        write(f"[hub]\n{text}")
        refused = corral_config("show", "corral.toml")
        assert refused.code == 1
        assert secret not in shown.out + shown.err + refused.out + refused.err


@pytest.mark.parametrize("models", [["a"], ["=demo"], ["a="], ["a=demo", "a=/m.gguf"]])
def test_models_that_are_no_id_and_source(corral_config: Config, models: list[str]) -> None:
    result = corral_config("show", *(word for model in models for word in ("--model", model)))
    assert result.code == 2
    assert "--model" in re.sub(r"\x1b\[\d*m", "", result.err)


def test_flags_are_checked_as_the_file_is(corral_config: Config) -> None:
    result = corral_config("show", "--grace", "2h", "--log-level", "loud", "--model", "-=demo")
    assert result.code == 1
    assert sorted(result.err.splitlines()) == [
        'error: --grace: must be 0s to 1h, not "2h"',
        'error: --log-level: must be one of "debug", "info", "warning", "error", not "loud"',
        "error: --model: must be 1 to 128 letters, digits and . _ - / :, beginning with a letter "
        'or digit; it is "-"',
    ]
