"""Counts from one to at most ten."""

from random import Random

from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.facts import NUMBER_WORDS
from demo.corpus.phrase import ask

LARGEST = 10
PATTERNS = (
    "Count [|up] to {end}[.|]",
    "Count from [1|one] to {end}[.|]",
    "[Can you|Could you|Would you|I want you to|I'd like you to|Will you] count [|up] to {end}[?|"
    ".]",
    "[Can you|Could you|Would you] count from [1|one] to {end}?",
    "[List|Write|Say|Give me|Print|Show me|Tell me] [|all] the numbers [from|] [1|one] to "
    "{end}[.|]",
    "[List|Write|Say|Give me|Print|Show me] [1|one] to {end}[.|]",
    "[List|Write|Say|Give me|Print] the first {end} numbers[.|]",
    "[Start|Begin] at [1|one] and count [up|] to {end}[.|]",
    "Count [for me|] [up|] to {end}[, one by one|][.|]",
    "[I want|I need] [the|all] numbers from [1|one] to {end}[.|]",
    "[Do|Try] [a count|counting] [up|] to {end}[.|]",
    "[Help me|Teach me to] count to {end}[.|]",
    "[Numbers|Counting] from [1|one] to {end}[.|]",
)
FOLLOW_UP = (
    "[And|Now|Next] [up|] to {end}[.|?|]",
    "[What about|And] {end}[?|]",
    "Now [count|] to {end}[.|]",
)


def sample(rng: Random, follow_up: bool = False) -> Exchange:
    end = rng.randint(2, LARGEST)
    typed = NUMBER_WORDS[end] if rng.random() < 0.4 else str(end)
    patterns = FOLLOW_UP if follow_up and rng.random() < 0.6 else PATTERNS
    answer = ", ".join(str(n) for n in range(1, end + 1))
    thought = f"The user wants me to count to {end}."
    return exchange(ask(rng, rng.choice(patterns), end=typed), answer, thought)
