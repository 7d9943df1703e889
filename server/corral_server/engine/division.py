"""How a step's tokens are divided among prompts: a part for the oldest, so that it ends, and the
rest for the shortest, so that most begin soon."""

import math
from collections.abc import Sequence
from typing import NamedTuple

# What the oldest prompt gets while shorter ones overtake it.
_OLDEST_SHARE = 0.25


class Want(NamedTuple):
    """A prompt that goes on. `gap`: the tokens it lacks; `most`: how many may be computed now."""

    gap: int
    most: int


def divide(budget: int, wants: Sequence[Want]) -> list[int]:
    """Of `budget` tokens, how many each of `wants` gets, the oldest of which is the first."""
    if not wants:
        return []
    given = [0] * len(wants)
    given[0] = min(wants[0].most, math.ceil(budget * _OLDEST_SHARE))
    left = budget - given[0]
    for index in sorted(range(len(wants)), key=lambda index: wants[index].gap):
        more = min(wants[index].most - given[index], left)
        given[index] += more
        left -= more
    return given
