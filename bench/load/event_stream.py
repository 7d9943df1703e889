"""As much of HTTP/1.1 as a stream of events needs: little between the socket and the clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class HttpError(Exception):
    """The server answered with a status that is no success, or not to the end."""


@asynccontextmanager
async def post(host: str, port: int, path: str, body: bytes) -> AsyncIterator["Response"]:
    """Posts JSON on a connection of its own, which a stream occupies to its end anyway.

    Raises HttpError, or OSError where nothing listens.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        response = await _read_head(reader)
        if not 200 <= response.status < 300:
            raise HttpError(
                f"{response.status}: {(await response.read()).decode(errors='replace')}"
            )
        yield response
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise HttpError("the connection broke") from error
    finally:
        writer.close()


class Response:
    """The body of an answer, read as it comes."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader) -> None:
        self.status = status
        self._headers = headers
        self._reader = reader

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([part async for part in self._parts()])

    async def events(self) -> AsyncIterator[bytes]:
        """The data of each server-sent event."""
        buffer = b""
        async for part in self._parts():
            *events, buffer = (buffer + part).split(b"\n\n")
            for event in events:
                if event.startswith(b"data: "):
                    yield event[6:]

    async def _parts(self) -> AsyncIterator[bytes]:
        if self._headers.get("transfer-encoding") == "chunked":
            while size := int(await self._reader.readline(), 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
        else:
            yield await self._reader.readexactly(int(self._headers["content-length"]))


async def _read_head(reader: asyncio.StreamReader) -> Response:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    return Response(int(status.split()[1]), headers, reader)
