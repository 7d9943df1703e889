"""What the tests of the Hub speak of: one repository, and how to wait for a download."""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import psutil

from corral_server.config import HubSource
from corral_server.hub.messages import (
    Answer,
    ListFiles,
    PulledModel,
    PullModel,
    PullProgress,
    Retries,
    Search,
)
from corral_server.models.hub import Hub, HubPull

REPO = "someone/tiny-GGUF"
FILE = "tiny-Q8_0.gguf"
ATTEMPTS = 3
RETRIES = Retries(attempts=ATTEMPTS, pause_s=0.01, pause_max_s=0.1)
TOKEN = "hf_canary_0123456789"

MakeHub = Callable[..., Hub]
Task = Search | ListFiles | PullModel


def content_of(name: str, size: int = 300_000) -> bytes:
    """Bytes that differ from name to name."""
    return random.Random(name).randbytes(size)


SHARDS = {f"big/big-Q4_K_M-{n:05}-of-00003.gguf": content_of(f"s{n}", 90_000) for n in (1, 2, 3)}
CONTENT = content_of(FILE)

SOURCE = HubSource(repo=REPO, file=FILE)
SPLIT = HubSource(repo=REPO, quantization="q4_k_m")
PULL = PullModel(SOURCE)

_DEADLINE_S = 20.0


async def pulled(hub: Hub, source: HubSource = SOURCE) -> PulledModel:
    """The model, downloaded."""
    async with asyncio.timeout(_DEADLINE_S):
        return await hub.pull(source).result()


async def watched(hub: Hub, source: HubSource = SOURCE) -> list[PullProgress]:
    """What a download tells until its end, successful or not."""
    async with asyncio.timeout(_DEADLINE_S):
        return [progress async for progress in hub.pull(source).watch()]


async def until(pull: HubPull, done_bytes: int) -> None:
    """Waits until so much of a download is there."""
    async with asyncio.timeout(_DEADLINE_S), aclosing(pull.watch()) as steps:
        async for step in steps:
            if step.done_bytes >= done_bytes:
                return
    raise AssertionError("the download ended")


@dataclass(frozen=True)
class Done:
    """What a job came to, and what it told on the way."""

    answer: Answer
    steps: list[PullProgress]

    @property
    def content(self) -> bytes:
        """What is in the first file of a model that was pulled."""
        assert isinstance(self.answer, PulledModel)
        return content(self.answer)


Do = Callable[..., Done]


def content(model: PulledModel) -> bytes:
    """What is in its first file."""
    return Path(model.path).read_bytes()


def damage(model: PulledModel) -> None:
    """Makes its first file another one."""
    Path(model.path).resolve().write_bytes(b"gone bad")


def hub_processes() -> list[psutil.Process]:
    """The Hub processes this one has started and not ended."""
    children = psutil.Process().children()
    return [child for child in children if "corral_server.hub" in " ".join(child.cmdline())]
