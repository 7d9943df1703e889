"""The blocking client with the face of the asyncio one, so that one test covers both."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, Self, cast

import corral
from corral import aio
from corral.sync.stream import Stream


def awaited(client: corral.Client) -> aio.Client:
    """A face whose calls are over when they return, and only then awaited."""
    return cast(aio.Client, _Face(client))


class _Face:
    def __init__(self, behind: object) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        return partial(_call, found) if callable(found) else _Face(found)


def _call(method: Any, *args: Any, **kwargs: Any) -> Any:
    result = method(*args, **kwargs)
    if isinstance(result, Stream):
        return _Stream(result)
    return _iterate(result) if isinstance(result, Iterator) else _done(result)


async def _done(result: Any) -> Any:
    return result


async def _iterate(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


class _Stream:
    def __init__(self, behind: Any) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        for item in self._behind:
            return item
        raise StopAsyncIteration

    def events(self) -> AsyncIterator[Any]:
        return _iterate(self._behind.events())

    async def __aenter__(self) -> Self:
        self._behind.__enter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self._behind.__exit__(*exc)
