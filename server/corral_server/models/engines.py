"""Where engines come from."""

from corral_server.models.engine_process import ENGINE_COMMAND, EngineProcess


class Engines:
    """Starts engine processes. One may be there before it is known what for: half a second passes
    before a process can load anything."""

    def __init__(
        self, command: tuple[str, ...] = ENGINE_COMMAND, spare: EngineProcess | None = None
    ) -> None:
        """`spare` is taken first, and is ended by `close` if nobody did."""
        self._command = command
        self._spare = spare

    def take(self) -> EngineProcess:
        """A process that has loaded nothing yet; the caller ends it. Raises OSError."""
        spare, self._spare = self._spare, None
        if spare is None:
            return EngineProcess.start(self._command)
        if spare.is_running():
            return spare
        spare.discard()
        return EngineProcess.start(self._command)

    def close(self) -> None:
        """Ends the spare process."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.discard()
