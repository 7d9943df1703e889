"""Which answers pause while a burst of requests begins.

A step's answers cost as much as some prompts, so answers that move on while many wait for their
first token let all of these begin later. Those that have just begun pause therefore, once and not
for long; those that have been read for a while pause for nobody.
"""

from collections.abc import Sequence as Ordered

from corral_server.engine.sequence import Sequence

# An answer is young for so many times as long as its prompt took, but for so many targets of a step
# at least and at most.
_YOUNG, _YOUNG_LEAST, _YOUNG_MOST = 4, 10, 50

# How many prompts it pauses for, and how many for each answer: a single one pauses nobody.
_FEWEST_PROMPTS, _PROMPTS_SHARE = 2, 1 / 8


def moving_answers(running: Ordered[Sequence], *, now: float, target_s: float) -> list[Sequence]:
    """Of those that run, the sequences that want one token and do not pause, in their order.

    `target_s` is how long a step should take. An answer pauses only for prompts of its own priority
    or a higher one.
    """
    answers = [each for each in running if each.gap == 1]
    prompts = [each for each in running if each.gap > 1 and not each.num_completion]
    enough = max(_FEWEST_PROMPTS, _PROMPTS_SHARE * len(answers))
    if len(prompts) < enough:
        return answers

    def pauses(answer: Sequence) -> bool:
        priority = answer.request.priority
        return (
            _is_young(answer, now, target_s)
            and sum(each.request.priority >= priority for each in prompts) >= enough
        )

    return [each for each in answers if not each.num_completion or not pauses(each)]


def _is_young(answer: Sequence, now: float, target_s: float) -> bool:
    clock = answer.clock
    young_s = _YOUNG * (clock.first_token - clock.started)
    young_s = min(max(young_s, _YOUNG_LEAST * target_s), _YOUNG_MOST * target_s)
    return now - clock.first_token < young_s
