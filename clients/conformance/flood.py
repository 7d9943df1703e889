"""A server that streams deltas as fast as they are taken, so that only the client takes time.

gRPC's own servers take about as long to send a message as a fast client to read it. This one
speaks just as much HTTP/2 as a gRPC client needs, and sends bytes that are there already: a client
that reads 10,000 messages waits for nothing but itself.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from google.protobuf.message import Message

from corral.v1 import inference_pb2 as inf
from corral.v1 import usage_pb2

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
_END_STREAM = _ACK = 1
_END_HEADERS = 4
_INITIAL_WINDOW_SIZE = 4
_MAX_FRAME = 16_384
_WINDOW = 65_535
_PREFIX = 5  # of a gRPC message: whether it is compressed, and its length

TEXT = " word"


@contextmanager
def flood_server() -> Iterator[str]:
    """The context is its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return  # the server is closed
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(peer,), daemon=True).start()


def _serve(peer: socket.socket) -> None:
    with peer:
        try:
            _Connection(peer).run()
        except (EOFError, OSError):
            return  # the client is gone


@dataclass(slots=True)
class _Stream:
    """One call: what was heard of its request, and what is still to be sent, in `window` bytes."""

    window: int
    heard: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None


class _Connection:
    """One client. Its thread reads frames, and writes what they allow."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._input = peer.makefile("rb")
        self._window = _WINDOW
        self._stream_window = _WINDOW
        self._streams: dict[int, _Stream] = {}

    def run(self) -> None:
        """Until the client goes, which raises EOFError or OSError."""
        if self._read(len(_PREFACE)) != _PREFACE:
            return
        self._send(_SETTINGS, 0, 0)
        while True:
            head = self._read(9)
            payload = self._read(int.from_bytes(head[:3], "big"))
            stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            self._handle(head[3], head[4], stream, payload)
            for number in list(self._streams):
                self._send_answer(number)

    def _read(self, size: int) -> bytes:
        data = self._input.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _handle(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if kind == _SETTINGS and not flags & _ACK:
            self._set(payload)
        elif kind == _PING and not flags & _ACK:
            self._send(_PING, _ACK, 0, payload)
        elif kind == _WINDOW_UPDATE and number == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == _WINDOW_UPDATE and stream is not None:
            stream.window += int.from_bytes(payload, "big")
        elif kind == _HEADERS:
            self._streams[number] = _Stream(self._stream_window)
        elif kind == _RST_STREAM:
            self._streams.pop(number, None)
        elif kind == _DATA and stream is not None:
            stream.heard += payload
            if flags & _END_STREAM:
                stream.answer = _answer(bytes(stream.heard))
                self._send(_HEADERS, _END_HEADERS, number, _RESPONSE_HEADERS)

    def _set(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value
        self._send(_SETTINGS, _ACK, 0)

    def _send_answer(self, number: int) -> None:
        """As much as the client has room for."""
        stream = self._streams[number]
        if stream.answer is None:
            return
        while size := min(len(stream.answer), stream.window, self._window, _MAX_FRAME):
            self._send(_DATA, 0, number, stream.answer[:size])
            stream.answer = stream.answer[size:]
            stream.window -= size
            self._window -= size
        if not stream.answer:
            self._send(_HEADERS, _END_HEADERS | _END_STREAM, number, _TRAILERS)
            del self._streams[number]

    def _send(self, kind: int, flags: int, number: int, payload: bytes | memoryview = b"") -> None:
        head = struct.pack(">IBI", len(payload) << 8 | kind, flags, number)
        self._peer.sendall(head + payload)


def _answer(heard: bytes) -> memoryview:
    """Everything the call is answered with, as it stands on the wire."""
    request = inf.GenerateStreamRequest.FromString(heard[_PREFIX:])
    started = inf.Started(request_id=request.request_id, model="flood", prompt_tokens=1)
    delta = _framed(inf.GenerateStreamResponse(delta=inf.Delta(text=TEXT, completion_tokens=1)))
    usage = usage_pb2.Usage(prompt_tokens=1, completion_tokens=request.max_tokens)
    finished = inf.Finished(reason=usage_pb2.FINISH_REASON_LENGTH, usage=usage)
    return memoryview(
        _framed(inf.GenerateStreamResponse(started=started))
        + delta * request.max_tokens
        + _framed(inf.GenerateStreamResponse(finished=finished))
    )


def _framed(message: Message) -> bytes:
    raw = message.SerializeToString()
    return b"\0" + len(raw).to_bytes(4, "big") + raw


def _header(name: str, value: str) -> bytes:
    """In HPACK's plainest form: a literal that nobody has to remember."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


_RESPONSE_HEADERS = b"\x88" + _header("content-type", "application/grpc")  # :status 200
_TRAILERS = _header("grpc-status", "0")
