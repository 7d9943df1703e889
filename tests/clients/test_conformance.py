"""The suite of the clients: that it passes what is right, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clients.conformance.command import Result, run_command
from clients.conformance.language import HERE, Language, read_languages
from clients.conformance.outcome import CASES, EXAMPLES, judge_example, read_cases, rows
from clients.conformance.overhead import Overhead

ROOT = HERE.parents[1]
WENT_WELL = Result(0, "", "")


def printed(text: str) -> Result:
    return Result(0, text, "")


def test_there_are_25_cases_of_different_names() -> None:
    assert len(CASES) == len(set(CASES)) == 25
    assert len(rows()) == 29


def test_every_language_has_its_folder_and_commands() -> None:
    languages = read_languages()
    assert {language.name for language in languages} == {
        "python", "go", "typescript", "java", "rust", "cpp",
    }  # fmt: skip
    assert all(language.example and language.conformance for language in languages)
    assert all(any("{name}" in word for word in language.example) for language in languages)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_expected_of_an_example_passes(name: str) -> None:
    text = (HERE / "expected" / f"{name}.txt").read_text()
    assert judge_example(name, printed(text)).ok


def test_steps_of_a_load_count_once_a_stage() -> None:
    wanted = (HERE / "expected/models.txt").read_text()
    steps = "LOAD_STAGE_LOADING 0%\nLOAD_STAGE_LOADING 47%\nLOAD_STAGE_LOADING 100%"
    text = wanted.replace("LOAD_STAGE_LOADING", steps)
    assert judge_example("models", printed(text)).ok


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (printed("> What is the capital of Spain?\n"), "line 1 is '> What is the capital of Spain"),
        (printed("> What is the capital of France?\n"), "1 lines, not 4"),
        (Result(1, "", "it broke"), "exit code 1\nit broke"),
        (Result(None, "", ""), "it took too long"),
    ],
)
def test_an_example_that_does_something_else_fails(result: Result, why: str) -> None:
    outcome = judge_example("chat", result)
    assert not outcome.ok
    assert outcome.detail.startswith(why)


def test_a_case_without_a_line_has_failed(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    lines = [{"case": "generate", "ok": True, "detail": "24 tokens"}]
    lines.append({"case": "chat", "ok": False, "detail": "no Paris"})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = read_cases(path, WENT_WELL)
    assert [case for case in CASES if found[case].ok] == ["generate"]
    assert found["chat"].detail == "no Paris"
    broken = read_cases(tmp_path / "none", Result(3, "", "Segmentation fault"))
    assert broken["generate"].detail == "exit code 3\nSegmentation fault"


def test_a_language_without_its_tools_names_them() -> None:
    language = Language(
        name="cobol", needs=["no-such-program"], build=[], example=[], conformance=[]
    )
    assert language.missing() == ["no-such-program"]


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    words = ["sh", "-c", "echo begun; sleep 60 & sleep 60"]
    result = run_command(words, folder=tmp_path, environment={}, timeout_s=0.5)
    assert result.code is None
    assert result.stdout == "begun\n"


def test_a_program_sees_no_server_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_TOKEN", "secret")
    words = ["sh", "-c", 'echo "$CORRAL_TOKEN$CORRAL_ADDRESS"']
    environment = {"CORRAL_ADDRESS": "here"}
    result = run_command(words, folder=tmp_path, environment=environment, timeout_s=10)
    assert result.stdout == "here\n"


def test_overhead_is_a_part_of_what_the_stub_takes() -> None:
    assert Overhead("python", raw_us=20, wrapper_us=21).part == pytest.approx(0.05)


@pytest.mark.timeout(150)
def test_the_python_client_does_all_of_it() -> None:
    command = [sys.executable, "-m", "clients.conformance.run", "python", "--require-all"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(" ok ") == len(rows())
