"""Where engines come from: a process that is there already, then fresh ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corral_server.models.engine_process import EngineProcess
from corral_server.models.engines import Engines
from fake_engine import COMMAND
from watch import open_files, running_engines


@pytest.fixture
def spare() -> Iterator[EngineProcess]:
    before = open_files()
    yield EngineProcess.start(COMMAND)
    assert running_engines() == []
    assert open_files() == before


def test_the_spare_process_is_taken_first_and_once(spare: EngineProcess) -> None:
    engines = Engines(COMMAND, spare)
    first, second = engines.take(), engines.take()
    assert first is spare
    assert second.pid != spare.pid
    for process in (first, second):
        process.discard()


def test_a_spare_process_that_has_died_is_not_taken(spare: EngineProcess) -> None:
    spare.kill()
    spare.wait()
    process = Engines(COMMAND, spare).take()
    assert process is not spare
    assert process.is_running()
    process.discard()


def test_a_spare_process_nobody_took_is_ended(spare: EngineProcess) -> None:
    engines = Engines(COMMAND, spare)
    engines.close()
    assert not spare.is_running()
    engines.close()


def test_one_that_was_taken_is_not_ended_with_the_rest(spare: EngineProcess) -> None:
    engines = Engines(COMMAND, spare)
    process = engines.take()
    engines.close()
    assert process.is_running()
    process.discard()


def test_a_process_that_cannot_be_started_leaves_nothing(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(FileNotFoundError):
        Engines((str(tmp_path / "none"),)).take()
    assert open_files() == before
