"""What `corral serve` does first: the process of the first engine takes longest until it can load,
so it starts before the command line is read. Nothing is imported here that this does not take."""

from corral_server.models.engine_process import EngineProcess


def begin() -> EngineProcess | None:
    """A process that has loaded nothing; None where the system starts none, of which the first
    load tells."""
    try:
        return EngineProcess.start()
    except OSError:
        return None
