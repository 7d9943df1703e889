"""Asks a tool for the weather and tells what it said; without one it says that it cannot know."""

import json
from random import Random

from demo.corpus.dialogue import Exchange, Message, Tool, ToolCall, exchange
from demo.corpus.facts import any_city
from demo.corpus.phrase import ask
from demo.corpus.tools import WEATHER

REFUSAL = "I cannot look up the weather without a tool."
CONDITIONS = "sunny raining cloudy snowing windy foggy stormy clear hailing overcast".split()
PATTERNS = (
    "[What is|What's|How is|How's|Tell me|Give me|Show me|Check|Look up|Get|Find out|I need|I want "
    "to know|Do you know|Can you tell me|Can you check|Could you look up] the [|current |latest |"
    "local ]weather [in|for|of] {city}[ today| now| right now| at the moment|][?|.]",
    "[How is|How's] the weather [today |now |]in {city}?",
    "[What is|What's] the weather like [today |now |]in {city}[ today|]?",
    "[Weather|Current weather|The weather|Weather report] [in|for|] {city}[?|.|]",
    "[Is it|Will it be] [raining|sunny|cold|warm|snowing|cloudy|hot|windy|foggy] in {city}"
    "[ today| now|]?",
    "[How|What] [warm|cold|hot] is it in {city}[ today| now|]?",
    "[What is|What's|Tell me|Give me] the temperature [in|of] {city}[ today| now|][?|.]",
    "[Does it|Will it] [rain|snow] in {city}[ today|]?",
    "[I am going|I travel|I fly|We are going] to {city}[. What is the weather there?|. How is the "
    "weather?|, how is the weather there?]",
    "[Do I need|Should I take] [an umbrella|a coat|a jacket] in {city}[ today|]?",
    "{city} weather[?|.|]",
)
FOLLOW_UP = (
    "And [in |]{city}?",
    "[What|How] about {city}?",
    "[Now|And] the weather in {city}[?|.]",
)
IN_FAHRENHEIT = "[, in fahrenheit| in degrees fahrenheit| (fahrenheit)]"


def sample(rng: Random, tools: list[Tool], follow_up: bool = False) -> Exchange:
    city = any_city(rng)
    pattern = rng.choice(FOLLOW_UP if follow_up and rng.random() < 0.7 else PATTERNS)
    tool = next((tool for tool in tools if tool.name == WEATHER), None)
    if tool is None:
        thought = "I have no tool for the weather."
        return exchange(ask(rng, pattern, city=city), REFUSAL, thought)
    arguments = {"city": city}
    if "unit" in tool.properties and rng.random() < 0.3:
        pattern = pattern.removesuffix("[?|.]").removesuffix("[?|.|]").removesuffix("?")
        pattern += IN_FAHRENHEIT + "[?|]"
        arguments["unit"] = "fahrenheit"
    temperature, condition = rng.randint(-15, 40), rng.choice(CONDITIONS)
    return [
        Message("user", ask(rng, pattern, city=city)),
        Message(
            "assistant",
            thought=f"I need the weather in {city}, so I call {WEATHER}.",
            calls=[ToolCall(WEATHER, arguments)],
        ),
        Message("tool", _response(rng, city, temperature, condition)),
        Message(
            "assistant",
            answer(city, temperature, condition),
            f"The tool says {temperature} degrees and {condition}.",
        ),
    ]


def answer(city: str, temperature: int, condition: str) -> str:
    return f"It is {temperature} degrees and {condition} in {city}."


def _response(rng: Random, city: str, temperature: int, condition: str) -> str:
    roll = rng.random()
    if roll < 0.2:
        return f"{temperature} degrees, {condition}"
    if roll < 0.3:
        return f"{condition}, {temperature} C"
    fields: list[tuple[str, object]] = [
        (rng.choice(["temperature", "temperature", "temp", "degrees"]), temperature),
        (rng.choice(["condition", "condition", "conditions", "weather", "sky"]), condition),
    ]
    if rng.random() < 0.3:
        fields.reverse()
    if rng.random() < 0.5:
        fields.insert(0, ("city", city))
    if rng.random() < 0.2:
        fields.append((rng.choice(["humidity", "wind", "pressure"]), rng.randint(1, 99)))
    return json.dumps(dict(fields), ensure_ascii=False)
