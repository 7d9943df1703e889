"""Gives back the word it was given, exactly."""

from random import Random

from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.facts import any_word
from demo.corpus.phrase import ask

PATTERNS = (
    "[Repeat|Repeat after me|Say|Echo|Write|Type|Print|Copy|Output|Reply with|Answer with|Just say|"
    "Respond with|Say after me|Give me|Return|Repeat this|Say this|Please repeat|Please say]: "
    "{quoted}[|.]",
    "[Repeat|Say|Echo|Write|Type|Print|Copy|Output|Return|Speak] {quoted}[|.| once.| exactly.|, "
    "nothing else.| and nothing else.| back to me.| again.]",
    "[Repeat|Say|Echo|Write|Type|Print|Copy|Output|Reply with|Answer with|Respond with|Return|"
    "Give me|Send me] [the|this] [word|word:|single word|one word] {quoted}[|.| once.| exactly.|, "
    "nothing else.| and nothing else.| back to me.| and stop.]",
    "[Can you|Could you|Would you|I want you to|I'd like you to|You must|Will you] [repeat|say|echo"
    "|write|type|copy] [the word|the word:|] {quoted}[?|.|]",
    "[Only|Just] [say|repeat|write|answer] [the word|] {quoted}[|.]",
    "[The|Your|My] word is {quoted}. [Repeat it|Say it|Echo it|Write it|Say it back|Repeat it, "
    "please|Now repeat it|Now say it].",
    "{quoted}: [repeat|say|echo|write] [this word|that word|it|that][.|]",
    "[Repeat|Say|Echo] [after me|back|what I say|this for me][:|,] {quoted}[|.]",
)
FOLLOW_UP = (
    "[And|Now|Next|Then|And now][|:] {quoted}[|.]",
    "[Now|And now] [repeat|say|echo] {quoted}[|.]",
)


def sample(rng: Random, follow_up: bool = False) -> Exchange:
    num_words = rng.choice([1] * 9 + [2, 3])
    words = " ".join(any_word(rng) for _ in range(num_words))
    quote = rng.choice(["", "", "", '"', '"', "'"])
    patterns = FOLLOW_UP if follow_up and rng.random() < 0.6 else PATTERNS
    question = ask(rng, rng.choice(patterns), quoted=f"{quote}{words}{quote}")
    return exchange(question, words, f"I repeat: {words}")
