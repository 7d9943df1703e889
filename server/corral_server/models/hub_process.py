"""One Hub process, seen from the server: started for a job, listened to, and ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

from corral_server.errors import HubUnavailable, InternalError
from corral_server.hub.messages import (
    MAX_LINE_BYTES,
    Answer,
    Failed,
    HubReport,
    Job,
    PullProgress,
)

HUB_COMMAND = (sys.executable, "-m", "corral_server.hub")
TRY_AGAIN_S = 10.0
_DYING_S = 1.0

_reports: msgspec.json.Decoder[HubReport] = msgspec.json.Decoder(HubReport)
# huggingface_hub reads them when it is imported. Why Xet is off stands in `hub/download.py`.
_ENVIRONMENT = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
}


async def run(
    command: tuple[str, ...],
    job: Job,
    on_progress: Callable[[PullProgress], None],
    *,
    stall_s: float,
) -> Answer:
    """What a fresh process makes of `job`. Whatever happens, the process is gone afterwards.

    Raises the error the job ends with; HubUnavailable when the process dies or tells nothing for
    `stall_s`, which covers everything that can hang: names, connections, disks.
    """
    process = await _start(command)
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        while isinstance(report := await _next(process, stall_s), PullProgress):
            on_progress(report)
    finally:
        _kill(process)
        await process.communicate()
    if isinstance(report, Failed):
        raise report.failure.error()
    return report


async def _start(command: tuple[str, ...]) -> asyncio.subprocess.Process:
    """It inherits the environment, and with it HF_TOKEN; nothing secret is among its arguments."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        env=os.environ | _ENVIRONMENT,
        limit=MAX_LINE_BYTES,
    )


async def _next(process: asyncio.subprocess.Process, stall_s: float) -> HubReport:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(stall_s):
            line = await process.stdout.readline()
    except TimeoutError as error:
        raise HubUnavailable(
            f"nothing came from the Hub for {stall_s:g} s", retry_after_s=TRY_AGAIN_S
        ) from error
    except ValueError as error:
        raise InternalError(f"a Hub process told more than {MAX_LINE_BYTES} bytes") from error
    if not line.endswith(b"\n"):
        raise await _death_of(process)
    return _reports.decode(line)


async def _death_of(process: asyncio.subprocess.Process) -> HubUnavailable:
    try:
        async with asyncio.timeout(_DYING_S):
            await process.wait()
    except TimeoutError:
        _kill(process)
    code = await process.wait()
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return HubUnavailable(
        f"the Hub process died ({how}); what it had downloaded is kept", retry_after_s=TRY_AGAIN_S
    )


def _kill(process: asyncio.subprocess.Process) -> None:
    """Not `process.kill`, which may take the exit status away from the one who waits for it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
