"""The bounds that are enforced are those the contract promises: its comments are read for them."""

import re
from math import log2
from pathlib import Path

import pytest

from corral_server.rpc import limits
from corral_server.rpc.limits import Range

PROTOS = Path(__file__).parents[2] / "proto" / "corral" / "v1"
GENERATING = ("GenerateRequest", "GenerateStreamRequest", "ChatRequest", "ChatStreamRequest")
EMBEDDING = ("EmbedRequest", "EmbedStreamRequest")
FIELD = re.compile(r"((?:^ *//.*\n)+) *[\w.<>, ]+? (\w+) = \d+;", re.MULTILINE)


def comment(file: str, message: str, field: str) -> str:
    """What the contract says about a field, on one line."""
    text = (PROTOS / f"{file}.proto").read_text()
    body = text.partition(f"message {message} {{")[2].partition("\n}")[0]
    comments = {name: found for found, name in FIELD.findall(body)}
    return " ".join(line.strip(" /") for line in comments[field].splitlines())


def promised(bounds: Range) -> str:
    if bounds is limits.KEEP_ALIVE_S:
        return f"{bounds.low:g} to {bounds.high / (24 * 3600):g} days"
    if bounds is limits.STEP_TARGET_S:
        return f"{bounds.low * 1000:g} ms to {bounds.high:g} s"
    if bounds is limits.HOST_CACHE_BYTES:
        return f"{bounds.low:g} to 2^{log2(bounds.high):g}"
    low, high = f"{bounds.low:.15g}", f"{bounds.high:.15g}".replace("1000000000", "1e9")
    return f"Above {low}, to {high}." if bounds.above else f"{low} to {high}"


RANGES = [
    *(("sampling", "SamplingParams", name, r) for name, r in limits.SAMPLING.items()),
    ("sampling", "SamplingParams", "logit_bias", limits.LOGIT_BIAS),
    *(("model", "LoadOptions", name, r) for name, r in limits.LOAD.items()),
    *(("model", "RopeScaling", name, r) for name, r in limits.ROPE.items()),
    ("model", "LoadOptions", "tensor_split", limits.TENSOR_SPLIT),
    ("model", "LoadOptions", "step_target", limits.STEP_TARGET_S),
    ("model", "LoadOptions", "host_cache_bytes", limits.HOST_CACHE_BYTES),
    ("model", "LoraAdapter", "scale", limits.LORA_SCALE),
    ("model_manager", "LoadModelRequest", "keep_alive", limits.KEEP_ALIVE_S),
    ("model_manager", "SearchHubRequest", "limit", limits.HUB_LIMIT),
    *(("inference", message, "max_tokens", limits.MAX_TOKENS) for message in GENERATING),
    ("model_manager", "UnloadModelRequest", "drain_timeout", limits.DRAIN_TIMEOUT_S),
]


@pytest.mark.parametrize(("file", "message", "field", "bounds"), RANGES)
def test_the_contract_tells_the_range(file: str, message: str, field: str, bounds: Range) -> None:
    said = comment(file, message, field)
    match field:
        case "seed":
            assert "Any uint32." in said and bounds == Range(0, 2**32 - 1)
        case "batch_size":
            assert "At least the number of slots, at most 8192." in said
            assert bounds == Range(1, 8192)
        case "ubatch_size":
            assert "1 to 8192, at most the batch size." in said and bounds == Range(1, 8192)
        case "tensor_split":
            # What is beyond it is no part of anything; the contract need not say so.
            assert "0 or more each" in said and bounds == Range(0, 1e9)
        case _:
            assert promised(bounds) in said


def size(count: int) -> str:
    known = {4 << 20: "4 MiB", 512 << 10: "512 KiB", 64 << 10: "64 KiB"}
    return known.get(count, str(count))


MOST = [
    ("inference", "GenerateRequest", "prompt", limits.MAX_TEXT_BYTES),
    ("inference", "GenerateStreamRequest", "prompt", limits.MAX_TEXT_BYTES),
    ("inference", "TokenizeRequest", "text", limits.MAX_TEXT_BYTES),
    ("inference", "CountTokensRequest", "prompt", limits.MAX_TEXT_BYTES),
    ("inference", "DetokenizeRequest", "token_ids", limits.MAX_TOKEN_IDS),
    ("sampling", "SamplingParams", "logit_bias", limits.MAX_LOGIT_BIASES),
    ("sampling", "StopParams", "strings", limits.MAX_STOP_STRINGS),
    ("sampling", "StopParams", "token_ids", limits.MAX_STOP_TOKENS),
    ("chat", "Message", "content", limits.MAX_TEXT_BYTES),
    ("chat", "Message", "name", limits.MAX_NAME_BYTES),
    ("chat", "Tool", "description", limits.MAX_DESCRIPTION_BYTES),
    ("chat", "Tool", "parameters", limits.MAX_SCHEMA_BYTES),
    ("chat", "Conversation", "tools", limits.MAX_TOOLS),
    ("inference", "ChatRequest", "tools", limits.MAX_TOOLS),
    ("inference", "ChatStreamRequest", "tools", limits.MAX_TOOLS),
    ("embedding", "EmbedInput", "text", limits.MAX_TEXT_BYTES),
    ("model", "LoadOptions", "devices", limits.MAX_DEVICES),
    ("model", "LoadOptions", "tensor_split", limits.MAX_DEVICES),
    ("model", "LoadOptions", "lora", limits.MAX_LORAS),
    ("model", "LoadOptions", "chat_template", limits.MAX_TEMPLATE_BYTES),
    ("model_manager", "LoadModelRequest", "aliases", limits.MAX_ALIASES),
    ("model_manager", "SearchHubRequest", "query", limits.MAX_QUERY_BYTES),
    *(
        ("inference", message, "request_id", limits.MAX_REQUEST_ID)
        for message in (*GENERATING, *EMBEDDING)
    ),
    *(("inference", message, "cache_scope", limits.MAX_CACHE_SCOPE) for message in GENERATING),
]


@pytest.mark.parametrize(("file", "message", "field", "most"), MOST)
def test_the_contract_tells_the_most(file: str, message: str, field: str, most: int) -> None:
    assert re.search(rf"at most {size(most)}\b", comment(file, message, field), re.IGNORECASE)


@pytest.mark.parametrize(
    ("file", "message", "field", "said"),
    [
        ("sampling", "StopParams", "strings", f"of 1 to {limits.MAX_STOP_BYTES} bytes each"),
        ("chat", "Conversation", "messages", f"1 to {limits.MAX_MESSAGES}."),
        ("inference", "ChatRequest", "messages", f"1 to {limits.MAX_MESSAGES}."),
        ("inference", "ChatStreamRequest", "messages", f"1 to {limits.MAX_MESSAGES}."),
        ("chat", "Tool", "name", "1 to 64 characters"),
        ("model_manager", "LoadModelRequest", "id", "1 to 128 characters"),
        *(
            ("inference", message, "inputs", f"1 to {limits.MAX_EMBED_INPUTS}.")
            for message in EMBEDDING
        ),
        ("model_manager", "SearchHubRequest", "limit", "Default 10."),
        ("model", "ModelSource", "path", f"1 to {limits.MAX_PATH_BYTES} bytes"),
    ],
)
def test_the_contract_tells_the_length(file: str, message: str, field: str, said: str) -> None:
    assert said in comment(file, message, field)


def test_every_range_is_covered() -> None:
    ranges = [value for value in vars(limits).values() if isinstance(value, Range)]
    tables = (*limits.SAMPLING.values(), *limits.LOAD.values(), *limits.ROPE.values())
    assert {id(bounds) for *_, bounds in RANGES} == {id(bounds) for bounds in (*ranges, *tables)}
