"""What a load generator is told to do, and what it saw: JSON lines over its standard streams."""

import msgspec


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """Own tokens of a request, and how many tokens its answer must have."""

    prompt: list[int]
    max_tokens: int


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Turns one after the other, each prompt going on where the answer before it ended.

    `joins_at`: the first turn is sent once every conversation of the wave that joins at 0 has had
    so many tokens of its answer.
    """

    turns: list[Turn]
    joins_at: int = 0


Wave = list[Conversation]


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Waves one after the other; the conversations of a wave run at the same time.

    `warm_up` is played before the generator says that it is ready. Where `sampled`, tokens are
    chosen with the server's default sampling, else greedily.
    """

    waves: list[Wave]
    warm_up: list[Wave] = []
    sampled: bool = False


class EmbedPlan(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Texts that become vectors, asked for with one call; `warm_up` likewise, before it."""

    texts: list[str]
    warm_up: list[str]


class Answer(msgspec.Struct, kw_only=True):
    """One turn as it was seen. Times are of the machine's monotonic clock, seconds.

    `conversation`: its place in the wave. `max_tokens` were asked for after `length` tokens.
    `arrivals`: when messages brought tokens, and the tokens of the answer so far. `prompt_tokens`
    and `cached_tokens`: as the server counted them. `refusal`: the typed reason of a server that
    was full. `error`: why this is no answer.
    """

    conversation: int
    max_tokens: int
    length: int
    sent_s: float
    ended_s: float
    arrivals: list[tuple[float, int]] = []
    prompt_tokens: int = 0
    cached_tokens: int = 0
    refusal: str = ""
    error: str = ""

    @property
    def tokens(self) -> int:
        return self.arrivals[-1][1] if self.arrivals else 0


class Seen(msgspec.Struct, kw_only=True, tag=True):
    """The answers of each wave of a Plan. `cpu_s`: what the generator itself used in that time."""

    waves: list[list[Answer]]
    cpu_s: float


class Embedded(msgspec.Struct, kw_only=True, tag=True):
    """What became of an EmbedPlan; `tokens` as the server counted them."""

    vectors: int
    tokens: int
    took_s: float
    cpu_s: float
    error: str = ""
