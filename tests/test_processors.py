"""How many processors this process may use."""

import os
import subprocess
import sys

import pytest

from corral_server.processors import usable_processors

ONE = (
    "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
    "from corral_server.processors import usable_processors; print(usable_processors())"
)


def test_there_is_one_and_no_more_than_the_machine_has() -> None:
    assert 1 <= usable_processors() <= (os.cpu_count() or 1)


@pytest.mark.skipif(sys.platform != "linux", reason="binds a process to a processor")
def test_a_process_that_is_bound_to_one_may_use_one() -> None:
    shown = subprocess.run([sys.executable, "-c", ONE], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == 1
