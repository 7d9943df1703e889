"""Sums of two numbers up to twenty, and an honest refusal of the rest."""

from random import Random

from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.facts import NUMBER_WORDS
from demo.corpus.phrase import ask

LARGEST = 20
UNSEEN_PAIRS = frozenset(
    {(3, 8), (5, 14), (6, 11), (7, 19), (9, 4), (12, 15), (13, 6), (14, 9), (16, 18), (17, 2)}
)
"""Never shown in this order, so that the held-back set can ask for them."""

REFUSAL = "I can only add numbers up to 20."
SUM_OF = (
    "[What is|What's|How much is|Calculate|Compute|Tell me|Work out|Give me|Solve|Can you compute|"
    "Do you know|Can you tell me|Could you work out|What does|I need] {a} [plus|+|and] {b}[?|.]",
    "{a}[+| + | plus ]{b}[=| =|?| = ?|=?|]",
    "Add {a} [and|to|plus] {b}[.|, what do you get?|]",
    "[Can you|Could you|Would you|I want you to|I'd like you to] add {a} [and|to] {b}[?|.]",
    "[What is|What's|Tell me|Give me|Find|Calculate|Compute|I need] the [sum|total] of {a} and {b}"
    "[?|.]",
    "The sum of {a} and {b}[?| is| is?]",
    "Sum [up|] {a} and {b}[.|]",
    "[What do I get|What do you get|What is the result|What comes out|What happens] [if|when] "
    "[I|you|we] add {a} [and|to] {b}?",
    "How [much|many] [do|does] {a} and {b} make?",
    "{a} and {b} [make|makes|is|are] [what|how much|how many]?",
    "What [does|do] {a} [plus|and] {b} [make|equal|give|come to]?",
    "I have {a} [apples|books|coins|cards|eggs] and get {b} more[. How many do I have now?|. How "
    "many is that?|, how many do I have?]",
    "[Tom|Anna|My friend|A farmer] has {a} [apples|books|coins|cows|eggs] and [buys|finds|gets] "
    "{b} "
    "more. How many [are there|is that] [now|in total|in all|]?",
    "[Please|] [do|solve] [the|this] sum: {a} + {b}[.|]",
    "{a} added to {b} [is|gives|makes] [what|?]",
)
FOLLOW_UP = (
    "And {a} [plus|+|and] {b}?",
    "[What|How] about {a} [plus|+|and] {b}?",
    "[Now|Next|Then|Also] {a} [plus|+] {b}[.|?|]",
    "{a} + {b}?",
)
TOO_HARD = (
    "[What is|What's|How much is|Calculate|Compute|Work out|Tell me|Solve|] {left} [+|plus] {big}"
    "[?|.]",
    "[What is|What's|How much is|Calculate|Compute|Work out|Tell me|Solve|] {big} [+|plus|-|minus|"
    "*|times|x|/|divided by|multiplied by] {right}[?|.]",
    "[What is|What's|How much is|Calculate|Compute|Work out|Tell me|Solve|] {left} [-|minus|*|"
    "times|/|divided by|multiplied by] {right}[?|.]",
    "[Multiply|Divide] {left} by {right}[.|]",
    "[What is|Tell me] the [square root|double|half|square] of {big}?",
    "Add {big} and {right}[.|]",
    "Subtract {left} from {big}[.|]",
)


def answer(a: int, b: int) -> str:
    return f"{a} + {b} = {a + b}."


def sample(rng: Random, follow_up: bool = False) -> Exchange:
    if rng.random() < 0.1:
        return too_hard(rng)
    a, b = rng.randint(0, LARGEST), rng.randint(0, LARGEST)
    if (a, b) in UNSEEN_PAIRS:
        a, b = b, a
    spelled = rng.random() < 0.12
    names = [NUMBER_WORDS[n] if spelled else str(n) for n in (a, b)]
    patterns = FOLLOW_UP if follow_up and rng.random() < 0.6 else SUM_OF
    pattern = SUM_OF[0] if rng.random() < 0.2 and not follow_up else rng.choice(patterns)
    question = ask(rng, pattern, a=names[0], b=names[1])
    return exchange(question, answer(a, b), f"I add {a} and {b}. That is {a + b}.")


def too_hard(rng: Random) -> Exchange:
    """What a calculator is for, asked where there is none."""
    slots = {
        "left": rng.randint(2, 999),
        "right": rng.randint(2, 999),
        "big": rng.randint(LARGEST + 1, 9999),
    }
    question = ask(rng, rng.choice(TOO_HARD), **slots)
    return exchange(question, REFUSAL, "This sum is too hard for me without a tool.")
