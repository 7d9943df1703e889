"""Following the models, across lost connections."""

import threading
import time
from collections.abc import Iterator

import grpc

from corral import requests
from corral.channel import RECONNECT_PAUSE_S
from corral.errors import Unavailable
from corral.sync.stream import Stream, StreamCall, receive
from corral.v1.model_manager_pb2 import WatchModelsRequest, WatchModelsResponse


class ModelWatch(Stream[WatchModelsResponse], Iterator[WatchModelsResponse]):
    """All there is, then every change: iterate it for the contract's messages.

        with client.models.watch() as changes:
            for change in changes:
                print(change.sequence, change.WhichOneof("event"))

    Once a message has come, a server that goes away or ends the call does not end the loop: it
    waits until the server is back and goes on after the last message. Nothing is missed: where
    the server cannot go on from there, it sends a snapshot. Any message can be given to
    `watch(after=...)` later. The loop ends when it is left or cancelled, and by other errors.
    """

    def __init__(
        self,
        call: "grpc.UnaryStreamMultiCallable[WatchModelsRequest, WatchModelsResponse]",
        address: str,
        *,
        after: WatchModelsResponse | None,
        timeout: float | None,
    ) -> None:
        self._watch_models = call
        self._address = address
        self._last = after
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._has_begun = False
        self._ended = threading.Event()
        super().__init__(self._open(), address)

    def _open(self) -> StreamCall[WatchModelsResponse]:
        left = None if self._deadline is None else max(0, self._deadline - time.monotonic())
        request = requests.watch(self._last)
        return self._watch_models(request, timeout=left, wait_for_ready=self._has_begun)

    def __next__(self) -> WatchModelsResponse:
        if (event := self._receive()) is None:
            raise StopIteration
        return event

    def _receive(self) -> WatchModelsResponse | None:
        while True:
            pause_s = RECONNECT_PAUSE_S
            try:
                event = super()._receive()
            except Unavailable as error:
                if not self._has_begun:
                    raise
                event, pause_s = None, error.retry_after_s or pause_s
            if event is not None:
                self._last, self._has_begun = event, True
                return event
            if self._cancelled or not self._has_begun:
                return None
            self._ended.wait(pause_s)
            self._reopen()

    def _reopen(self) -> None:
        self._call = self._open()
        self._messages = receive(self._call, self._address)
        if self._cancelled:  # while there was no call to cancel
            self._call.cancel()

    def cancel(self) -> None:
        super().cancel()
        self._ended.set()
