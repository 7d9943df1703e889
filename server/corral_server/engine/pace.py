"""How many tokens of prompts go into a step beside running answers.

A step that is too long makes every answer stutter; one that is too short reads all weights for a
few tokens. What a step costs is learned from the last ones: so much in any case, so much for each
answer, so much for each token of a prompt.
"""

from collections import deque

import numpy as np

_FEWEST_TOKENS = 16

# Tokens of a prompt beside answers before anything is known of what they cost.
_FIRST_TOKENS = 64

# Steps that are remembered, with tokens of prompts and without.
_PROMPT_STEPS, _ANSWER_STEPS = 24, 8

# While no answer runs, whoever arrives still wants to be seen: a step may take this many targets.
_ALONE = 10

# How much time prompts get at least, for the time of the answers beside them.
_PROMPTS_SHARE = 2

# A clock that stands still must not make tokens free.
_CHEAPEST_S = 1e-9


class Pace:
    """`target_s`: how long a step should take while answers run."""

    def __init__(self, *, target_s: float, batch_tokens: int) -> None:
        self.target_s = target_s
        self._batch_tokens = batch_tokens
        self._prompts: deque[tuple[int, int, float]] = deque(maxlen=_PROMPT_STEPS)
        self._answers: deque[tuple[int, int, float]] = deque(maxlen=_ANSWER_STEPS)

    def prompt_tokens(self, *, num_answers: int) -> int:
        """How many tokens of prompts the next step may hold beside `num_answers` answers."""
        most = self._batch_tokens - num_answers
        if not self._prompts:
            return min(most, _FIRST_TOKENS) if num_answers else most
        step_s, answer_s, token_s = self._costs()
        if num_answers:
            answers_s = step_s + num_answers * answer_s
            # Prompts get their part of the time, or they would never end beside many answers.
            spare_s = max(self.target_s - answers_s, _PROMPTS_SHARE * answers_s)
        else:
            spare_s = self.target_s * _ALONE - step_s
        return min(max(int(spare_s / token_s), _FEWEST_TOKENS), most)

    def duration_s(self, prompt_tokens: int) -> float:
        """How long a step takes with so many tokens of prompts, or with as many of them as fit, and
        no answers; 0 without any, and while that is not known."""
        if not (self._prompts and prompt_tokens):
            return 0.0
        step_s, _, token_s = self._costs()
        return step_s + token_s * min(prompt_tokens, self._batch_tokens)

    def learn(self, took_s: float, *, num_answers: int, prompt_tokens: int) -> None:
        """A step with so many answers and tokens of prompts has taken `took_s`."""
        if prompt_tokens >= _FEWEST_TOKENS:
            self._prompts.append((num_answers, prompt_tokens, took_s))
        elif num_answers:
            self._answers.append((num_answers, prompt_tokens, took_s))

    def _costs(self) -> tuple[float, float, float]:
        """Seconds of a step, of an answer in it, and of a token of a prompt in it: the least
        squares over what is remembered, within reason where that says too little."""
        seen = np.array([*self._prompts, *self._answers])
        rows = np.column_stack([np.ones(len(seen)), seen[:, :2]])
        step_s, answer_s, token_s = np.linalg.lstsq(rows, seen[:, 2], rcond=None)[0].clip(0.0)
        prompts = np.array(self._prompts)
        # If all of a step's time were its prompts', and if a token cost as much as any other.
        highest = float(np.mean(prompts[:, 2] / prompts[:, 1]))
        lowest = float(np.mean(prompts[:, 2] / prompts[:, :2].sum(axis=1))) / 4
        token_s = min(max(token_s, lowest), highest)
        return float(step_s), float(answer_s), max(token_s, _CHEAPEST_S)
