"""A Hub process: reads one Job from stdin, does it, and writes what comes of it to stdout.

It ends when stdin does: the server closed it, or is gone. A CorralError is an answer; what else
goes wrong is told as InternalError, with a traceback on stderr.
"""

import logging
import os
import signal
import sys
import threading
import traceback
from typing import BinaryIO, assert_never

import msgspec

from corral_server.errors import CorralError, InternalError
from corral_server.hub.catalog import models_among
from corral_server.hub.messages import (
    Answer,
    Failed,
    Files,
    HubReport,
    Job,
    ListFiles,
    PullModel,
    Repos,
    Search,
)
from corral_server.hub.pull import Pull, Report
from corral_server.hub.remote import RemoteHub
from corral_server.ipc.messages import Failure


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)
    with _own_stdout() as out:
        job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
        threading.Thread(target=_end_with_stdin, daemon=True).start()

        def report(what: HubReport) -> None:
            out.write(msgspec.json.encode(what) + b"\n")

        report(_outcome(job, report))
    return 0


def _outcome(job: Job, report: Report) -> Answer | Failed:
    try:
        return perform(job, report)
    except CorralError as error:
        return Failed(Failure.of(error))
    except Exception as error:
        traceback.print_exc()
        return Failed(Failure.of(InternalError(f"the Hub process failed: {type(error).__name__}")))


def perform(job: Job, report: Report) -> Answer:
    """What `job` comes to. Raises the CorralError it ends with."""
    match job.task:
        case Search(query, limit):
            return Repos(RemoteHub(job, "this search").search(query, limit))
        case ListFiles(repo, revision):
            remote = RemoteHub(job, repo)
            files = remote.files(repo, remote.commit(repo, revision))
            return Files(tuple(model.entry() for model in models_among(files)))
        case PullModel(source):
            return Pull(source, job, report).run()
        case _:
            assert_never(job.task)


def _own_stdout() -> BinaryIO:
    """The pipe to the server, for us alone: what a library prints goes to stderr."""
    pipe = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(pipe, "wb", buffering=0)


def _end_with_stdin() -> None:
    """The second net: a server that is killed cannot kill us, but its end of the pipe is closed."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
