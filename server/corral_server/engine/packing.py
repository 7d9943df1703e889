"""Which of many lengths fill a space best."""

from collections.abc import Sequence


def best_fit(lengths: Sequence[int], capacity: int) -> list[int]:
    """Positions of the lengths, the first among them, whose sum is the largest up to `capacity`;
    where there is a choice, earlier ones. `lengths[0]` fits.

    A sum is a bit of a number, so that one shift adds a length to all sums that can be reached.
    """
    room = capacity - lengths[0]
    mask = (1 << (room + 1)) - 1
    reached = [1]
    for length in lengths[1:]:
        reached.append(reached[-1] | (reached[-1] << length) & mask)
    left = reached[-1].bit_length() - 1
    chosen = []
    for position in range(len(lengths) - 1, 0, -1):
        if not reached[position - 1] >> left & 1:
            chosen.append(position)
            left -= lengths[position]
    return [0, *reversed(chosen)]
