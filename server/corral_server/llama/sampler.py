"""Picks a token from logits: llama.cpp's sampler chain, built from SamplingParams."""

from collections.abc import Iterable, Mapping

from llama_cpp import llama_cpp as c

from corral_server.llama.context import LlamaContext
from corral_server.request import SamplingParams

# llama.cpp takes this seed for "draw one"; a caller's seed is always meant.
_RANDOM_SEED = 0xFFFFFFFF


class LlamaSampler:
    """One request's chain, with its own random state and its own memory for the penalties."""

    def __init__(
        self, params: SamplingParams, *, vocab_size: int, bias: Mapping[int, float]
    ) -> None:
        """`bias` holds everything that is added to logits, -inf included."""
        self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        for link in _links(params, vocab_size, bias):
            c.llama_sampler_chain_add(self._chain, link)

    def accept(self, tokens: Iterable[int]) -> None:
        """Tells the penalties which tokens came before."""
        for token in tokens:
            c.llama_sampler_accept(self._chain, token)

    def sample(self, context: LlamaContext, row: int) -> int:
        """The next token behind `row` of the last batch, which must have been wanted."""
        return int(c.llama_sampler_sample(self._chain, context.handle, row))

    def close(self) -> None:
        c.llama_sampler_free(self._chain)


def _links(
    params: SamplingParams, vocab_size: int, bias: Mapping[int, float]
) -> Iterable["c.llama_sampler_p"]:
    """In the order the contract promises."""
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
