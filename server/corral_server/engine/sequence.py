"""A request being computed: the tokens it owns, how many of them are computed, and its text."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from corral_server.engine.prefix_tree import common_length
from corral_server.engine.text import TextStream
from corral_server.request import (
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    Timings,
    Token,
)


class Sampler(Protocol):
    """What picks this request's tokens; only its maker knows how."""

    def close(self) -> None: ...


class PieceTable(Protocol):
    """The bytes of each token."""

    def __getitem__(self, token: int, /) -> bytes: ...


class Pieces(Protocol):
    """What an engine knows of its vocabulary to turn tokens into answers."""

    @property
    def pieces(self) -> "PieceTable": ...

    @property
    def full_pieces(self) -> "PieceTable": ...

    @property
    def end_tokens(self) -> frozenset[int]: ...

    def detokenize(self, tokens: Iterable[int], *, unparse_special: bool) -> bytes: ...


@dataclass(slots=True)
class Clock:
    """When things happened to a request, in seconds of one monotonic clock."""

    arrived: float
    started: float = 0.0
    first_token: float = 0.0
    last_token: float = 0.0

    def timings(self) -> Timings:
        return Timings(
            queue_s=self.started - self.arrived,
            prefill_s=self.first_token - self.started,
            decode_s=self.last_token - self.first_token,
        )


class Sequence:
    """One request. `tokens` holds the prompt and then the answer; the first `num_computed` of them
    are in the KV cache under `slot`, which is None while the sequence waits. `num_cached` tokens of
    the prompt were found there; `deadline` is when the caller gives up, on the clock of `now`."""

    def __init__(
        self,
        call: int,
        request: GenerationRequest,
        prompt: list[int],
        *,
        limit: int,
        vocabulary: Pieces,
        sampler: Sampler | None,
        now: float,
    ) -> None:
        """`limit`: tokens that prompt and answer together may reach."""
        assert 0 < len(prompt) < limit
        self.call = call
        self.request = request
        self.tokens = prompt
        self.num_prompt = len(prompt)
        self.num_computed = 0
        self.num_cached = 0
        self.slot: int | None = None
        self.sampler = sampler
        self.clock = Clock(arrived=now)
        self.deadline = now + (math.inf if request.time_left_s is None else request.time_left_s)
        self._common: dict[int, int] = {}
        self._vocabulary = vocabulary
        self._max_tokens = min(request.max_tokens or limit, limit - len(prompt))
        self._stop_tokens = frozenset(request.stop.token_ids)
        self._text = TextStream(request.stop.strings, include_stop=request.stop.include_stop)

    @property
    def num_completion(self) -> int:
        return len(self.tokens) - self.num_prompt

    @property
    def max_length(self) -> int:
        """Tokens it may come to own."""
        return self.num_prompt + self._max_tokens

    @property
    def prefix(self) -> list[int]:
        """What may be taken from a cache: the last token has to be computed, for its logits."""
        return self.tokens[:-1]

    @property
    def gap(self) -> int:
        """Tokens owned but not computed; one means that the next step brings a token."""
        return len(self.tokens) - self.num_computed

    def common_with(self, other: "Sequence") -> int:
        """Tokens the prompts of both begin with alike, but for the last of this one, which has to
        be computed."""
        common = self._common.get(other.call)
        if common is None:
            one, two = self.tokens[: self.num_prompt], other.tokens[: other.num_prompt]
            common = self._common[other.call] = min(common_length(one, two), self.num_prompt - 1)
        return common

    def append(self, token: int, now: float) -> list[Delta | Finished]:
        """Takes the token that was picked and returns what the caller is told."""
        self.tokens.append(token)
        self.clock.last_token = now
        if self.num_completion == 1:
            self.clock.first_token = now
        text = "" if self._ends_silently(token) else self._text.push(self._vocabulary.pieces[token])
        reason = self._finish_reason(token)
        if reason is not None:
            text += self._text.flush()
            # A stop string can complete in the flushed rest.
            reason = FinishReason.STOP_STRING if self._text.matched is not None else reason
        events: list[Delta | Finished] = []
        if text or self.request.wants_tokens:
            events.append(self._delta(text, token))
        if reason is not None:
            events.append(self._finished(reason, token))
        return events

    def _ends_silently(self, token: int) -> bool:
        """A stop token is no part of the answer unless the caller wants it in."""
        if token in self._stop_tokens:
            return not self.request.stop.include_stop
        return token in self._vocabulary.end_tokens and not self.request.stop.ignore_eos

    def _finish_reason(self, token: int) -> FinishReason | None:
        if self._text.matched is not None:
            return FinishReason.STOP_STRING
        if token in self._stop_tokens:
            return FinishReason.STOP_TOKEN
        if token in self._vocabulary.end_tokens and not self.request.stop.ignore_eos:
            return FinishReason.EOS
        if self.num_completion < self._max_tokens:
            return None
        if self.num_completion == self.request.max_tokens:
            return FinishReason.LENGTH
        return FinishReason.CONTEXT_LENGTH

    def _delta(self, text: str, token: int) -> Delta:
        tokens: tuple[Token, ...] = ()
        if self.request.wants_tokens:
            tokens = (Token(token, self._vocabulary.full_pieces[token]),)
        return Delta(text=text, completion_tokens=self.num_completion, tokens=tokens)

    def _finished(self, reason: FinishReason, token: int) -> Finished:
        return Finished(
            reason=reason,
            prompt_tokens=self.num_prompt,
            completion_tokens=self.num_completion,
            cached_tokens=self.num_cached,
            timings=self.clock.timings(),
            stop_string=self._text.matched,
            stop_token=token if reason is FinishReason.STOP_TOKEN else None,
        )

    def close(self) -> None:
        if self.sampler is not None:
            self.sampler.close()
