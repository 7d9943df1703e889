"""How long an engine that had nothing to do listens for more before it computes.

Requests that are made at once arrive one after the other. A step that begins with the first of them
is computed while the others arrive: the server takes the cores from it that it needs for these, and
they wait until it has ended. Whoever comes alone loses a small part of the step.
"""

# When nobody has come for so long, nobody comes: those of one burst are half of it apart. To wait
# for less is no use.
_LONGEST_S, _SHORTEST_S = 0.001, 0.0005

# Parts of the step that is put off: to wait for one more, and for all who come.
_SHARE, _TOTAL_SHARE = 1 / 32, 1 / 8


def lull_s(step_s: float, *, waited_s: float) -> float:
    """How long to wait for one more before a step that takes about `step_s` and is late by
    `waited_s`, in seconds; 0 when it should begin."""
    if waited_s >= step_s * _TOTAL_SHARE:
        return 0.0
    wait_s = min(step_s * _SHARE, _LONGEST_S)
    return wait_s if wait_s >= _SHORTEST_S else 0.0
