"""What the client costs: 10,000 deltas through it and through its stub."""

import os
import time
from collections.abc import Callable

import grpc

from corral import Client
from corral.channel import channel_arguments
from corral.v1.inference_pb2 import GenerateStreamRequest
from corral.v1.inference_pb2_grpc import InferenceStub

DELTAS = 10_000
TIMES = 5
TIMEOUT_S = 30.0


def measure() -> dict[str, list[float]]:
    """Seconds of each run; the first of each kind is not counted."""
    address = os.environ["CORRAL_FLOOD_ADDRESS"]
    # gRPC shares the connection between two channels of the same address and options.
    with (
        Client(address, token="", tls=False) as client,
        grpc.insecure_channel(address, channel_arguments(None)) as channel,
    ):
        stub = InferenceStub(channel)
        runs = [(_seconds(_wrapper, client), _seconds(_raw, stub)) for _ in range(TIMES + 1)]
    wrapper_s, raw_s = zip(*runs[1:], strict=True)
    return {"wrapper_s": list(wrapper_s), "raw_s": list(raw_s)}


def _seconds(read: Callable[..., int], source: object) -> float:
    began = time.perf_counter()
    length = read(source)
    took_s = time.perf_counter() - began
    assert length == DELTAS * len(" word"), length
    return took_s


def _wrapper(client: Client) -> int:
    stream = client.inference.generate_stream("a", max_tokens=DELTAS, timeout=TIMEOUT_S)
    length = 0
    for delta in stream:
        length += len(delta.text)
    return length


def _raw(stub: InferenceStub) -> int:
    request = GenerateStreamRequest(prompt="a", max_tokens=DELTAS)
    length = 0
    for event in stub.GenerateStream(request, timeout=TIMEOUT_S):
        if event.HasField("delta"):
            length += len(event.delta.text)
    return length
