"""An engine process: `python -m corral_server.engine FD`, with one end of a socketpair at FD.

Exits 0 when the server closes the channel, and 1 when the model cannot be loaded, which it tells
first. Every other end is a crash, and the server finds out by the end of the channel.
"""

import logging
import resource
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from corral_server.errors import CorralError
from corral_server.ipc.channel import Channel
from corral_server.ipc.frame import ChannelClosed
from corral_server.ipc.messages import Failure, LoadFailed
from corral_server.llama.process import die_with_parent, give_way, keep_buffers_apart

if TYPE_CHECKING:
    from corral_server.engine.loop import EngineLoop


def main() -> int:
    die_with_parent()
    keep_buffers_apart()
    # The server alone says when an engine ends; a terminal's Ctrl-C is meant for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A core file would hold prompts.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    with ExitStack() as resources:
        try:
            loop = _load_gently(channel, resources)
        except CorralError as error:
            channel.send([LoadFailed(Failure.of(error))])
            return 1
        except ChannelClosed:
            return 0
        with suppress(ChannelClosed):
            loop.run()
    return 0


def _load_gently(channel: Channel, resources: ExitStack) -> "EngineLoop":
    """Loads on a thread that gives way to models that answer meanwhile, on the same cores."""
    with ThreadPoolExecutor(1, initializer=give_way) as thread:
        return thread.submit(_load, channel, resources).result()


def _load(channel: Channel, resources: ExitStack) -> "EngineLoop":
    # Half of what an engine computes before it is ready are its imports.
    from corral_server.engine.loader import load

    return load(channel, resources)


if __name__ == "__main__":
    sys.exit(main())
