"""Hands sums that are too hard for it to a calculator tool."""

import json
from random import Random

from demo.corpus import sums
from demo.corpus.dialogue import Exchange, Message, Tool, ToolCall
from demo.corpus.phrase import ask
from demo.corpus.tools import CALCULATE

OPERATORS = {
    "+": "[plus|+|+]",
    "-": "[minus|-|-]",
    "*": "[times|*|*|x|multiplied by]",
    "/": "[divided by|/|over]",
}
PATTERNS = (
    "[What is|What's|How much is|Calculate|Compute|Work out|Tell me|Solve|Evaluate|Find|Give me|"
    "Can you compute|Could you calculate|I need|Please work out|] {left} OP {right}[?|.|]",
    "[What is|Tell me|Give me|Compute] the result of {left} OP {right}[?|.]",
    "[What does|How much does] {left} OP {right} [make|equal|give|come to]?",
    "{left} OP {right}[ =| = ?|?|]",
    "[Use|With] the [calculator|tool|calculator tool][:|,|: what is] {left} OP {right}[.|?|]",
)
WORDED = {
    "+": ("Add {left} [and|to] {right}[.|]", "[What is|Find] the sum of {left} and {right}[?|.]"),
    "-": ("Subtract {right} from {left}[.|]", "Take {right} away from {left}[.|]"),
    "*": ("Multiply {left} [by|and|with] {right}[.|]",
          "[What is|Find] the product of {left} and {right}[?|.]"),
    "/": ("Divide {left} by {right}[.|]", "Split {left} into {right} parts[.|]"),
}  # fmt: skip
FOLLOW_UP = (
    "And {left} OP {right}?",
    "[What|How] about {left} OP {right}?",
    "Now {left} OP {right}",
)


def sample(rng: Random, tools: list[Tool], follow_up: bool = False) -> Exchange:
    if all(tool.name != CALCULATE for tool in tools):
        return sums.too_hard(rng)
    operator = rng.choice(list(OPERATORS))
    largest = rng.choice([20, 99, 99, 999, 999, 9999, 99999])
    left, right = rng.randint(1, largest), rng.randint(1, rng.choice([largest, 20, 99]))
    if operator == "+" and max(left, right) <= sums.LARGEST:
        left += sums.LARGEST
    if follow_up and rng.random() < 0.5:
        pattern = rng.choice(FOLLOW_UP)
    elif rng.random() < 0.25:
        pattern = rng.choice(WORDED[operator])
    else:
        pattern = PATTERNS[0] if rng.random() < 0.3 else rng.choice(PATTERNS)
    pattern = pattern.replace("OP", OPERATORS[operator])
    expression = f"{left} {operator} {right}"
    result = _result(rng, operator, left, right)
    return [
        Message("user", ask(rng, pattern, left=left, right=right)),
        Message(
            "assistant",
            thought=f"I call {CALCULATE} for {expression}.",
            calls=[ToolCall(CALCULATE, {"expression": expression})],
        ),
        Message("tool", _response(rng, expression, result)),
        Message("assistant", answer(result), f"The tool says {result}."),
    ]


def answer(result: str) -> str:
    return f"The result is {result}."


def _result(rng: Random, operator: str, left: int, right: int) -> str:
    """Now and then a made-up one, so that the answer is read from the tool and not guessed."""
    if rng.random() < 0.3:
        return str(rng.randint(-9999, 999999))
    if operator == "/":
        return str(round(left / right, 4)).removesuffix(".0")
    return str({"+": left + right, "-": left - right, "*": left * right}[operator])


def _response(rng: Random, expression: str, result: str) -> str:
    roll = rng.random()
    if roll < 0.4:
        return result
    if roll < 0.5:
        return f"{expression} = {result}"
    return json.dumps({rng.choice(["result", "result", "value", "answer"]): json.loads(result)})
