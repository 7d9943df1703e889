"""What a computation took."""

from typing import NamedTuple


class Effort(NamedTuple):
    """`took_s`: the time it took. `busy_s`: for how much of it the first of its threads had a
    processor."""

    took_s: float
    busy_s: float
