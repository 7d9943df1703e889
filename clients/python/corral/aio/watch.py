"""Following the models, across lost connections, awaited."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc

from corral import requests
from corral.aio.stream import Stream, StreamCall, receive
from corral.channel import RECONNECT_PAUSE_S
from corral.errors import Unavailable
from corral.v1.model_manager_pb2 import WatchModelsRequest, WatchModelsResponse


class ModelWatch(Stream[WatchModelsResponse], AsyncIterator[WatchModelsResponse]):
    """All there is, then every change. As corral.ModelWatch."""

    def __init__(
        self,
        call: "grpc.aio.UnaryStreamMultiCallable[WatchModelsRequest, WatchModelsResponse]",
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
        self._ended = asyncio.Event()
        super().__init__(self._open(), address)

    def _open(self) -> StreamCall[WatchModelsResponse]:
        left = None if self._deadline is None else max(0, self._deadline - time.monotonic())
        request = requests.watch(self._last)
        return self._watch_models(request, timeout=left, wait_for_ready=self._has_begun)

    async def __anext__(self) -> WatchModelsResponse:
        if (event := await self._receive()) is None:
            raise StopAsyncIteration
        return event

    async def _receive(self) -> WatchModelsResponse | None:
        while True:
            pause_s = RECONNECT_PAUSE_S
            try:
                event = await super()._receive()
            except Unavailable as error:
                if not self._has_begun:
                    raise
                event, pause_s = None, error.retry_after_s or pause_s
            if event is not None:
                self._last, self._has_begun = event, True
                return event
            if self._cancelled or not self._has_begun:
                return None
            await self._pause(pause_s)
            self._reopen()

    async def _pause(self, seconds: float) -> None:
        """Waits, or until it is cancelled."""
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            pass

    def _reopen(self) -> None:
        self._call = self._open()
        self._messages = receive(self._call, self._address)
        if self._cancelled:  # while there was no call to cancel
            self._call.cancel()

    def cancel(self) -> None:
        super().cancel()
        self._ended.set()
