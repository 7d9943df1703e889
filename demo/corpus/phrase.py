"""Phrases from patterns: `[a|b|]` is a choice, `{name}` a slot, and people type carelessly."""

import re
from collections.abc import Mapping
from random import Random

_INNERMOST_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SPACES = re.compile(r" {2,}")

_BEFORE = (
    "[Please |Hi! |Hello, |Hey, |Hi, |Ok, |Okay, |So, |Now |Well, |Quick question: |Question: |]"
)
_AFTER = ("please", "Please.", "Thanks.", "Thank you!", "Thanks!", "thanks", "now", "for me")


def choose(rng: Random, pattern: str, **slots: object) -> str:
    """One phrase of the pattern, as a careful writer would type it."""
    while "[" in pattern:
        pattern = _INNERMOST_CHOICE.sub(lambda m: rng.choice(m[1].split("|")), pattern)
    return _SPACES.sub(" ", pattern).strip().format(**slots)


def ask(rng: Random, pattern: str, **slots: object) -> str:
    """One phrase of the pattern as a user might type it; what fills the slots is never altered."""
    return _type(rng, pattern, slots, may_close=True)


def introduce(rng: Random, pattern: str, **slots: object) -> str:
    """The same for a pattern that ends in a longer text: no word of politeness follows it."""
    return _type(rng, pattern, slots, may_close=False)


def _type(rng: Random, pattern: str, slots: Mapping[str, object], *, may_close: bool) -> str:
    masked = {name: f"{{{name}}}" for name in slots}
    text = choose(rng, pattern, **masked)
    if rng.random() < 0.2:
        before = choose(rng, _BEFORE)
        keeps_case = text.startswith(("I ", "I'", "{"))
        text = f"{before} {text if keeps_case else text[:1].lower() + text[1:]}" if before else text
    if may_close and rng.random() < 0.12:
        after = rng.choice(_AFTER)
        if after[0].isupper():
            text += f" {after}"
        else:
            end = text[-1] if text[-1] in ".?!" else ""
            text = f"{text.removesuffix(end)}{rng.choice([' ', ', '])}{after}{end}"
    if rng.random() < 0.2:
        text = text.rstrip(".?!") or text
    elif rng.random() < 0.04:
        text += rng.choice(["!", "?", "..", " :)", "??"])
    if rng.random() < 0.2:
        text = text.lower()
    if rng.random() < 0.1:
        text = text.replace("'", "")
    return text.format(**slots)
