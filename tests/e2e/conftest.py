"""One server with the demo model for all tests that only ask it."""

from collections.abc import Iterator

import pytest

from bench.running_server import RunningServer, running_server


@pytest.fixture(scope="session")
def demo() -> Iterator[RunningServer]:
    with running_server("--log-level", "warning") as server:
        yield server
