"""How messages travel between a server and an engine.

A frame is four bytes of length, little-endian, and a msgpack list of messages. The end of the
other process is the end of the stream.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from corral_server.ipc.messages import Command, Report

MAX_FRAME_BYTES = 64 * 1024 * 1024
LENGTH = struct.Struct("<I")

decode_commands = msgspec.msgpack.Decoder(list[Command]).decode
decode_reports = msgspec.msgpack.Decoder(list[Report]).decode
_encode = msgspec.msgpack.Encoder().encode


class ChannelClosed(Exception):
    """The other process is gone."""


def frame(messages: Sequence[Any]) -> bytes:
    """One frame. Raises ValueError if it is over the limit."""
    body = _encode(messages)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return LENGTH.pack(len(body)) + body


def frames(messages: Sequence[Any]) -> list[bytes]:
    """One frame, or as many as the limit asks for: several large answers can come at once."""
    try:
        return [frame(messages)]
    except ValueError:
        if len(messages) == 1:
            raise
        half = len(messages) // 2
        return frames(messages[:half]) + frames(messages[half:])
