"""What `corral serve` has begun before its command line is read."""

import resource
import subprocess
import sys

import psutil

from corral_server.cli.begin import begin
from watch import open_files


def test_it_is_an_engine_that_has_loaded_nothing() -> None:
    before = open_files()
    process = begin()
    assert process is not None and process.is_running()
    assert psutil.Process(process.pid).cmdline()[:3] == [
        sys.executable,
        "-m",
        "corral_server.engine",
    ]
    process.discard()
    assert open_files() == before


def test_where_the_system_starts_none_there_is_none() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        assert begin() is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_takes_nothing_that_takes_long_to_import() -> None:
    code = "import corral_server.cli.begin; import sys; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"typer", "asyncio", "grpc", "corral_server.config"} & set(shown.stdout.split())
