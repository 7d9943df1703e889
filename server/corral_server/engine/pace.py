"""How many tokens of prompts go into a step beside running answers.

A step that is too long makes every answer stutter; one that is too short reads all weights for a
few tokens. What tokens cost is learned from the steps themselves.
"""

# How much the last step counts. Steps of one size differ by a few percent on a quiet machine.
_WEIGHT = 0.2

_FEWEST_TOKENS = 16

# A clock that stands still must not make tokens free.
_CHEAPEST_S = 1e-9

# While no answer runs, whoever arrives still wants to be seen: a step may take this many targets.
_ALONE = 10


class Pace:
    """`target_s`: how long a step should take while answers run."""

    def __init__(self, *, target_s: float, batch_tokens: int) -> None:
        self._target_s = target_s
        self._batch_tokens = batch_tokens
        self._answers_s: float | None = None
        self._token_s: float | None = None

    def prompt_tokens(self, *, num_answers: int) -> int:
        """How many tokens of prompts the next step may hold beside `num_answers` answers."""
        most = self._batch_tokens - num_answers
        if self._token_s is None:
            return most
        spare_s = self._target_s * _ALONE
        if num_answers:
            # Prompts get at least as much time as answers, or they would never end beside many.
            answers_s = self._answers_s or 0.0
            spare_s = max(self._target_s - answers_s, answers_s)
        return min(max(int(spare_s / self._token_s), _FEWEST_TOKENS), most)

    def learn(self, took_s: float, *, num_answers: int, prompt_tokens: int) -> None:
        """A step with so many answers and tokens of prompts has taken `took_s`."""
        if prompt_tokens == 0:
            self._answers_s = _learned(self._answers_s, took_s)
        elif prompt_tokens >= _FEWEST_TOKENS:
            answers_s = (self._answers_s or 0.0) if num_answers else 0.0
            prompts_s = max(took_s - answers_s, took_s / 2)
            self._token_s = _learned(self._token_s, max(prompts_s / prompt_tokens, _CHEAPEST_S))


def _learned(known: float | None, measured: float) -> float:
    return measured if known is None else known + _WEIGHT * (measured - known)
