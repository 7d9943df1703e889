"""Picks a token from logits: llama.cpp's sampler chain, built from SamplingParams."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as c

from corral_server.llama.candidates import Candidates
from corral_server.llama.context import LlamaContext
from corral_server.llama.prefilter import reach
from corral_server.request import SamplingParams

# llama.cpp takes this seed for "draw one"; a caller's seed is always meant.
_RANDOM_SEED = 0xFFFFFFFF
# Among few tokens llama.cpp compares each with each bias; more than so many, and all are cheaper.
_MOST_BIASES = 512


class LlamaSampler:
    """One request's chain, with its own random state and its own memory for the penalties.

    The chain is two in a row: one changes logits, the other narrows the choice down to one token.
    """

    def __init__(
        self, params: SamplingParams, *, vocab_size: int, bias: Mapping[int, float]
    ) -> None:
        """`bias` holds everything that is added to logits, -inf included."""
        self.reach = reach(params) if len(bias) <= _MOST_BIASES else None
        self.only_forbids = (
            params.is_greedy
            and not params.has_penalties
            and all(value == -math.inf for value in bias.values())
        )
        self._change = _chain(_changes(params, vocab_size, bias))
        self._choice = _chain(_choices(params))
        self._chain = _chain([self._change, self._choice])
        self._top_k = 0 if params.is_greedy else params.top_k
        self._memory = params.repeat_last_n if params.has_penalties else 0
        self._num_biased = len(bias)
        self._num_accepted = 0
        # The biased tokens, then a ring of those the penalties remember.
        self._touched = np.empty(len(bias) + self._memory, np.intp)
        self._touched[: len(bias)] = list(bias)

    @property
    def touched(self) -> npt.NDArray[np.intp]:
        """The tokens whose logits it changes; one may be there twice. A view."""
        return self._touched[: self._num_biased + self._num_accepted]

    def accept(self, tokens: Iterable[int]) -> None:
        """Tells the penalties which tokens came before."""
        if not self._memory:
            return
        for token in tokens:
            c.llama_sampler_accept(self._chain, token)
            self._remember(token)

    def _remember(self, token: int) -> None:
        if self._memory:
            self._touched[self._num_biased + self._num_accepted % self._memory] = token
            self._num_accepted += 1

    def sample(self, context: LlamaContext, row: int) -> int:
        """The next token behind `row` of the last batch, which must have been wanted."""
        token = int(c.llama_sampler_sample(self._chain, context.handle, row))
        self._remember(token)
        return token

    def choose(self, few: Candidates) -> int | None:
        """The next token as `sample` would pick it, from a row's `few`: in order of their ids, and
        among them all within `reach` and all `touched`.

        None, and no token is picked, where equal logits leave open which top_k takes, or takes
        first: it sorts them as the whole row has them, and a draw takes the n-th.
        """
        if len(self.touched):
            c.llama_sampler_apply(self._change, few.pointer)
        if self._top_k and _has_equals(few.logits, self._top_k):
            return None
        c.llama_sampler_apply(self._choice, few.pointer)
        token = few.selected
        self.accept((token,))
        return token

    def close(self) -> None:
        c.llama_sampler_free(self._chain)


def _has_equals(logits: npt.NDArray[np.float32], count: int) -> bool:
    """Whether two of the `count` largest are equal, or the last of them and the next."""
    largest = np.sort(logits)[-count - 1 :]
    return bool((largest[1:] == largest[:-1]).any())


def _chain(links: Iterable["c.llama_sampler_p"]) -> "c.llama_sampler_p":
    """A sampler that does what `links` do, in order. They are freed with it."""
    chain: c.llama_sampler_p = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
    for link in links:
        c.llama_sampler_chain_add(chain, link)
    return chain


# In the order the contract promises: what changes logits, then what chooses.


def _changes(
    params: SamplingParams, vocab_size: int, bias: Mapping[int, float]
) -> Iterable["c.llama_sampler_p"]:
    if bias:
        entries = (c.llama_logit_bias * len(bias))(
            *(c.llama_logit_bias(token, value) for token, value in bias.items())
        )
        yield c.llama_sampler_init_logit_bias(vocab_size, len(bias), entries)
    if params.has_penalties:
        yield c.llama_sampler_init_penalties(
            vocab_size,
            params.repeat_last_n,
            params.repeat_penalty,
            params.frequency_penalty,
            params.presence_penalty,
        )


def _choices(params: SamplingParams) -> Iterable["c.llama_sampler_p"]:
    if params.is_greedy:
        yield c.llama_sampler_init_greedy()
        return
    if params.top_k > 0:
        yield c.llama_sampler_init_top_k(params.top_k)
    if params.top_p < 1.0:
        yield c.llama_sampler_init_top_p(params.top_p, 1)
    if params.min_p > 0.0:
        yield c.llama_sampler_init_min_p(params.min_p, 1)
    yield c.llama_sampler_init_temp(params.temperature)
    yield c.llama_sampler_init_dist(min(params.seed, _RANDOM_SEED - 1))
