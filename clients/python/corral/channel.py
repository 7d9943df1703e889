"""Where a server is and how a channel to it behaves. Knows no calls."""

import json
import os
from collections.abc import Mapping
from importlib.metadata import version

DEFAULT_ADDRESS = "127.0.0.1:50051"

# A refused call is tried again only where the server did nothing with it: UNAVAILABLE before the
# first message. gRPC itself sees to the second half. Calls that reach the Hub are not: it is the
# Hub that is unavailable, for longer than this, and it may be so because it was asked too often.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
        {
            "name": [
                {"service": "corral.v1.ModelManager", "method": method}
                for method in ("PullModel", "SearchHub", "ListHubFiles")
            ]
        },
    ]
}

# What a stream that outlives its connection waits before it asks again, if the server says nothing.
RECONNECT_PAUSE_S = 0.5

# Times in ms, sizes in bytes.
CHANNEL_OPTIONS: Mapping[str, str | int] = {
    "grpc.primary_user_agent": f"corral-python/{version('corral-client')}",
    "grpc.service_config": json.dumps(SERVICE_CONFIG),
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    "grpc.max_send_message_length": -1,  # the server knows its limit and says it
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    # A long prompt is silent until its first token: pings must not stop before.
    "grpc.http2.max_pings_without_data": 0,
    # A proxy set for the web is not meant for a model server, and breaks even 127.0.0.1.
    "grpc.enable_http_proxy": 0,
}


def default_address() -> str:
    """CORRAL_ADDRESS, else 127.0.0.1:50051."""
    return os.environ.get("CORRAL_ADDRESS") or DEFAULT_ADDRESS


def channel_arguments(options: Mapping[str, str | int] | None) -> list[tuple[str, str | int]]:
    """CHANNEL_OPTIONS as gRPC wants them; `options` override by name."""
    return list({**CHANNEL_OPTIONS, **(options or {})}.items())
