"""The one place that knows all commands: those here, and those other distributions bring."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from corral.cli import (
    chat,
    embed,
    failures,
    hub,
    inference,
    load,
    memory,
    models,
    server,
    watch,
)
from corral.cli.options import Address
from corral.errors import CorralError

PLUGINS = "corral.commands"
SERVE = "serve"


class Commands(TyperGroup):
    """The commands, with those of the entry-point group `corral.commands` among them.

    A plug-in is a function as typer takes them, or a typer.Typer with commands of its own. It is
    imported when its command is run or its help is shown, so that the others do not pay for it.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        plugins = {SERVE, *entry_points(group=PLUGINS).names}
        return [*sorted(plugins - self.commands.keys()), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if cmd_name in self.list_commands(ctx):
            return _command(cmd_name, _plugin(cmd_name))
        return None


def _command(name: str, plugin: Callable[..., object] | typer.Typer) -> Any:
    """A plug-in as the command `name`."""
    if isinstance(plugin, typer.Typer):
        group = typer.main.get_group(plugin)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(plugin)
    return typer.main.get_command(alone)


def _plugin(name: str) -> Callable[..., object] | typer.Typer:
    """What a plug-in brings, or a function that says why there is nothing."""
    for plugin in entry_points(group=PLUGINS, name=name):
        try:
            loaded: Callable[..., object] | typer.Typer = plugin.load()
        except Exception as err:  # whatever is wrong with it, the other commands must work
            return _unavailable(f"corral {name} is installed but cannot be loaded: {err}")
        return loaded
    return _unavailable(
        f"corral {name} is part of the server, which is not installed here",
        "get it with: pip install corral-server",
    )


def _unavailable(why: str, hint: str = "") -> Callable[[], None]:
    def command() -> None:
        failures.show(why, hint)
        raise typer.Exit(1)

    command.__doc__ = f"Not available: {why}."
    return command


app = typer.Typer(
    cls=Commands,
    help="Load llama.cpp models into a Corral server and use them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PANELS: Mapping[str, Sequence[Callable[..., None]]] = {
    "Ask models": [
        chat.chat,
        inference.generate,
        embed.embed,
        inference.tokenize,
        inference.detokenize,
        inference.count,
    ],
    "Models": [
        models.models,
        watch.watch,
        load.load,
        load.pull,
        models.unload,
        models.default,
        models.resolve,
        memory.memory,
        memory.predict,
    ],
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(hub.hub, name="hub", rich_help_panel="Models")
app.command()(server.info)
app.command()(server.stats)


@app.callback()
def with_address(context: typer.Context, address: Address = None) -> None:
    """Hands an --address written before the command to the command, as its default."""
    name = context.invoked_subcommand
    if address is not None and name is not None:
        assert isinstance(context.command, Commands)
        invoked = context.command.get_command(context, name)
        context.default_map = {name: _with_address(invoked, address)}


def _with_address(command: Any, address: str) -> dict[str, Any]:
    """The default of --address for a command, and for the commands it has."""
    commands = getattr(command, "commands", {})
    below = {name: _with_address(each, address) for name, each in commands.items()}
    return {"address": address, **below}


def run(arguments: Sequence[str] | None) -> None:
    """Runs one command and exits."""
    try:
        app(arguments, prog_name="corral")
    except CorralError as error:
        failures.report(error)
        sys.exit(1)
    except UnicodeError:
        failures.show("the text is not UTF-8")
        sys.exit(2)
