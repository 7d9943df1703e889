"""The one place that knows all commands: those here, and those other distributions bring."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import typer
from typer.core import TyperGroup

import corral
from corral.cli import HELP, SERVER
from corral.cli.options import Address

PLUGINS = "corral.commands"

# The server's own, and the modules they are in: `corral serve` would begin 25 ms later if it were
# looked for in what all installed distributions bring.
SERVERS: Mapping[str, str] = {
    "config": f"{SERVER}.cli.configuration",
    "serve": f"{SERVER}.cli.serving",
}

Plugin: TypeAlias = Callable[..., object] | typer.Typer

# By the panel of the help they stand in: each command and the module it is in, under its own name.
PANELS: Mapping[str | None, Mapping[str, str]] = {
    "Ask models": {
        "chat": "chat",
        "generate": "inference",
        "embed": "embed",
        "tokenize": "inference",
        "detokenize": "inference",
        "count": "inference",
    },
    "Models": {
        "models": "models",
        "watch": "watch",
        "load": "load",
        "pull": "load",
        "unload": "models",
        "default": "models",
        "resolve": "models",
        "memory": "memory",
        "predict": "memory",
        "hub": "hub",
    },
    None: {"info": "server", "stats": "server"},
}
COMMANDS = {
    name: (panel, module) for panel, names in PANELS.items() for name, module in names.items()
}


class Commands(TyperGroup):
    """The commands, with those of the entry-point group `corral.commands` among them.

    Each is imported when it is run or its help is shown, so that the others do not pay for it. A
    plug-in is a function as typer takes them, or a typer.Typer with commands of its own.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [*sorted({*SERVERS, *_plugins()} - COMMANDS.keys()), *COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS:
            panel, module = COMMANDS[cmd_name]
            command = getattr(import_module(f"corral.cli.{module}"), cmd_name)
            return _command(cmd_name, command, panel)
        if cmd_name in SERVERS or cmd_name in _plugins():
            return _command(cmd_name, _plugin(cmd_name), None)
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Where the first argument is no command, all are there, so that a like one is named."""
        if args and self.get_command(ctx, args[0]) is None:
            names = self.list_commands(ctx)
            self.commands = {name: self.get_command(ctx, name) for name in names}
        return super().resolve_command(ctx, args)


def _command(name: str, plugin: Plugin, panel: str | None) -> Any:
    """A plug-in as the command `name`, in `panel` of the help."""
    if isinstance(plugin, typer.Typer):
        group = typer.main.get_group(plugin)
        group.name, group.rich_help_panel = name, panel
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name, rich_help_panel=panel)(plugin)
    return typer.main.get_command(alone)


def _plugins() -> Mapping[str, Callable[[], Plugin]]:
    """What imports each plug-in, by name."""
    from importlib.metadata import entry_points  # which takes 15 ms, and is seldom asked

    return {plugin.name: plugin.load for plugin in entry_points(group=PLUGINS)}


def _plugin(name: str) -> Plugin:
    """What a plug-in brings, or a function that says why there is nothing."""
    if name in SERVERS and find_spec(SERVER) is None:
        return _unavailable(
            f"corral {name} is part of the server, which is not installed here",
            "get it with: pip install corral-server",
        )
    try:
        return _server_command(name) if name in SERVERS else _plugins()[name]()
    except Exception as err:  # whatever is wrong with it, the other commands must work
        return _unavailable(f"corral {name} is installed but cannot be loaded: {err}")


def _server_command(name: str) -> Plugin:
    command: Plugin = getattr(import_module(SERVERS[name]), name)
    return command


def _unavailable(why: str, hint: str = "") -> Callable[[], None]:
    def command() -> None:
        from corral.cli import failures

        failures.show(why, hint)
        raise typer.Exit(1)

    command.__doc__ = f"Not available: {why}."
    return command


app = typer.Typer(
    cls=Commands,
    help="Load llama.cpp models into a Corral server and use them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": list(HELP)},
)


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


def run(arguments: Sequence[str] | None, begun: object = None) -> None:
    """Runs one command, which finds `begun` as its context's object, and exits."""
    try:
        app(arguments, prog_name="corral", obj=begun)
    except SystemExit:
        raise  # the usual end, for which no other has to be imported
    except corral.CorralError as error:
        from corral.cli import failures

        failures.report(error)
        sys.exit(1)
    except UnicodeError:
        from corral.cli import failures

        failures.show("the text is not UTF-8")
        sys.exit(2)
