"""Commands that ask a model once: generate, tokenize, detokenize, count."""

from typing import Annotated

import typer

from corral.cli.options import (
    SAMPLING,
    Address,
    CacheScope,
    Json,
    MaxTokens,
    ModelId,
    RequestPriority,
    Stop,
    takes,
    text_or_stdin,
    within,
)
from corral.cli.output import print_json, stdout, write
from corral.requests import SamplingOptions
from corral.sync import Client

Text = Annotated[str | None, typer.Argument(metavar="TEXT", help="Default: standard input.")]


@takes("sampling", SAMPLING)
def generate(
    sampling: SamplingOptions,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="Default: standard input.")
    ] = None,
    model: ModelId = None,
    max_tokens: MaxTokens = None,
    stop: Stop = None,
    cache_scope: CacheScope = None,
    priority: RequestPriority = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Continue a text; it is printed while it is written."""
    text = text_or_stdin(prompt)
    with (
        Client(address) as client,
        client.inference.generate_stream(
            text,
            model=model,
            max_tokens=max_tokens,
            stop=stop,
            cache_scope=cache_scope,
            priority=priority,
            **sampling,
        ) as stream,
    ):
        if as_json:
            for event in stream.events():
                print_json(event)
            return
        console = stdout()
        for delta in stream:
            write(console, delta.text)
        if not stream.text.endswith("\n"):
            write(console, "\n")


def tokenize(
    text: Text = None,
    model: ModelId = None,
    add_special: Annotated[
        bool, typer.Option("--add-special", help="Add the model's start and end tokens.")
    ] = False,
    parse_special: Annotated[
        bool, typer.Option("--parse-special", help="Take control tokens written in the text.")
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Split a text into tokens: a line for each, with its id and its text."""
    wanted = text_or_stdin(text)
    with Client(address) as client:
        found = client.inference.tokenize(
            wanted, model=model, add_special=add_special, parse_special=parse_special
        )
    if as_json:
        print_json(found)
        return
    for token in found.tokens:
        typer.echo(f"{token.id}\t{token.piece.decode(errors='backslashreplace')!r}")


def detokenize(
    ids: Annotated[
        list[int], typer.Argument(metavar="IDS...", callback=within(), help="In order.")
    ],
    model: ModelId = None,
    unparse_special: Annotated[
        bool, typer.Option("--unparse-special", help="Write control tokens out.")
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Join tokens to a text."""
    with Client(address) as client:
        found = client.inference.detokenize(ids, model=model, unparse_special=unparse_special)
    if as_json:
        print_json(found)
    else:
        write(stdout(), f"{found.text}\n")


def count(
    text: Text = None,
    model: ModelId = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Count the tokens of a text."""
    with Client(address) as client:
        found = client.inference.count_tokens(text_or_stdin(text), model=model)
    if as_json:
        print_json(found)
    else:
        typer.echo(found.tokens)
