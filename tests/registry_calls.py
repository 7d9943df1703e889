"""Calls to a registry of fake engines, as a servicer makes them."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from corral_server.config import ModelSpec
from corral_server.models.engine_client import EngineClient
from corral_server.models.entry import ModelEntry
from corral_server.models.registry import ModelRegistry
from corral_server.request import Event, GenerationRequest, TextPrompt
from fake_engine import Prompts


async def load(registry: ModelRegistry, spec: ModelSpec, *, default: bool = False) -> ModelEntry:
    """Loads to the end. Raises why it cannot be."""
    entry = await registry.load(spec, make_default=default)
    async for _ in entry.watch_load():
        pass
    return entry


async def generate(registry: ModelRegistry, id: str, prompt: str = "hello") -> list[Event]:
    events: list[Event] = []
    await call(registry, id, prompt, events.append)
    return events


async def call(
    registry: ModelRegistry, id: str, prompt: str, on_event: Callable[[Event], object]
) -> None:
    request = GenerationRequest(prompt=TextPrompt(text=prompt), max_tokens=3)
    async with registry.lease(id) as lease:
        async with aclosing(lease.engine.generate(request)) as answer:
            async for event in answer:
                on_event(event)


async def hold(registry: ModelRegistry, id: str) -> asyncio.Task[None]:
    """A call that has begun, and goes on until it is ended."""
    begun = asyncio.Event()
    task = asyncio.create_task(call(registry, id, Prompts.HOLD, lambda _: begun.set()))
    await begun.wait()
    return task


async def finish(engine: EngineClient) -> None:
    """Lets all calls on hold finish."""
    await engine.tokenize(Prompts.FINISH, add_special=False, parse_special=False)


def engine_of(registry: ModelRegistry, id: str) -> EngineClient:
    engine = registry.resolve(id).engine
    assert engine is not None
    return engine


async def loading_at(entry: ModelEntry, fraction: float) -> None:
    """The engine has told `fraction` and now does what its script says."""
    await entry.until(lambda: entry.progress.fraction == fraction)
