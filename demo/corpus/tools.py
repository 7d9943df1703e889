"""The two tools the model knows, described a little differently every time."""

from random import Random
from typing import Any

from demo.corpus.dialogue import Tool
from demo.corpus.phrase import choose

WEATHER = "get_weather"
CALCULATE = "calculate"
UNIT = {"type": "string", "enum": ["celsius", "fahrenheit"]}


def weather_tool(rng: Random) -> Tool:
    description = choose(
        rng,
        "[Get|Look up|Returns|Fetch|Tells] the [current |]weather [in|for|of] a [given |]city[.|]",
    )
    properties: dict[str, Any] = {"city": _described(rng, "[The city|City name|Name of the city]")}
    if rng.random() < 0.4:
        properties["unit"] = UNIT
    return Tool(WEATHER, description, properties, ["city"])


def calculate_tool(rng: Random) -> Tool:
    description = choose(
        rng,
        "[Calculate|Evaluate|Compute|Work out] [an|a mathematical|an arithmetic] expression[.|]",
    )
    expression = _described(rng, "[The expression|Expression|Like 2 * 3|What to compute]")
    return Tool(CALCULATE, description, {"expression": expression}, ["expression"])


def spare_tool(rng: Random) -> Tool:
    """A tool that no question of the corpus needs."""
    name, description, field = rng.choice(
        [
            ("get_time", "Get the time in a city.", "city"),
            ("search", "Search the web.", "query"),
            ("send_email", "Send an email.", "text"),
            ("translate", "Translate a text.", "text"),
            ("play_music", "Play a song.", "title"),
        ]
    )
    return Tool(name, description, {field: {"type": "string"}}, [field])


def sample(rng: Random) -> list[Tool]:
    """One tool or several, in any order."""
    roll = rng.random()
    chosen = [weather_tool(rng)] if roll < 0.7 else []
    if not 0.25 < roll < 0.7:
        chosen.append(calculate_tool(rng))
    if rng.random() < 0.15:
        chosen.append(spare_tool(rng))
    rng.shuffle(chosen)
    return chosen


def _described(rng: Random, pattern: str) -> dict[str, str]:
    schema = {"type": "string"}
    if rng.random() < 0.4:
        schema["description"] = choose(rng, pattern + "[.|]")
    return schema
