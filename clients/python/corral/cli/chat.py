"""The chat command: a conversation in the terminal, or one message per line of a pipe."""

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from corral.cli.conversation import Conversation
from corral.cli.options import (
    SAMPLING,
    Address,
    CacheScope,
    Json,
    MaxTokens,
    ModelId,
    RequestPriority,
    takes,
)
from corral.cli.output import print_json, stdout, write
from corral.cli.talk import Talk, typed_lines
from corral.requests import SamplingOptions
from corral.sync import Client


@takes("sampling", SAMPLING)
def chat(
    sampling: SamplingOptions,
    model: ModelId = None,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the model is told first.")
    ] = None,
    thinking: Annotated[
        bool | None,
        typer.Option("--thinking/--no-thinking", help="Whether the model may think first."),
    ] = None,
    max_tokens: MaxTokens = None,
    cache_scope: CacheScope = None,
    priority: RequestPriority = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Talk with a model. /help lists what can be said to the terminal instead.

    Where standard input is no terminal, each of its lines is a message.
    """
    conversation = Conversation(
        model=model,
        system=system,
        thinking=thinking,
        max_tokens=max_tokens,
        cache_scope=cache_scope,
        priority=priority,
        sampling=sampling,
    )
    with Client(address) as client:
        if sys.stdin.isatty() and sys.stdout.isatty() and not as_json:
            talk = Talk(client, conversation)
            talk.greet()
            talk.run(typed_lines())
        else:
            answer_lines(client, conversation, sys.stdin, as_json=as_json)


def answer_lines(
    client: Client, conversation: Conversation, lines: Iterable[str], *, as_json: bool
) -> None:
    """Answers each line that is not empty, in one conversation. The first error ends it."""
    console = stdout()
    for message in filter(None, map(str.strip, lines)):
        with conversation.ask(client, message) as answer:
            if as_json:
                for event in answer.events():
                    print_json(event)
            else:
                for delta in answer:
                    write(console, delta.text)
                write(console, "\n")
        conversation.record(message, answer)
