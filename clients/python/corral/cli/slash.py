"""What can be said to the terminal instead of the model."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from corral.cli.conversation import Conversation
from corral.cli.listing import listing
from corral.sync import Client

THINKING = {"on": True, "off": False, "auto": None}


class Leave(Exception):
    """The conversation is over."""


class Room(NamedTuple):
    """Where a command acts."""

    client: Client
    conversation: Conversation
    console: Console

    def note(self, text: str) -> None:
        """Says something that is not the model's."""
        self.console.print(text, style="dim")


class Command(NamedTuple):
    """One command: what may follow it, what it does, and how. It is given what followed."""

    argument: str
    help: str
    act: Callable[[Room, str], None]


def run_command(line: str, client: Client, conversation: Conversation, console: Console) -> None:
    """Does what a line that begins with / says. Raises Leave where it says /exit."""
    name, _, argument = line.partition(" ")
    room = Room(client, conversation, console)
    if name in COMMANDS:
        COMMANDS[name].act(room, argument.strip())
    else:
        room.note(f"{name} is no command; /help lists them")


def _help(room: Room, _: str) -> None:
    rows = Table.grid(padding=(0, 2))
    for name, command in COMMANDS.items():
        rows.add_row(f"{name} {command.argument}", command.help, style="dim")
    room.console.print(rows)


def _clear(room: Room, _: str) -> None:
    room.conversation.turns.clear()
    room.note("the conversation starts anew")


def _system(room: Room, text: str) -> None:
    if text:
        room.conversation.system = text
    room.note(f"system: {room.conversation.system or 'nothing'}")


def _model(room: Room, id: str) -> None:
    if id:
        room.conversation.model = room.client.models.get(id).id
    room.note(f"model: {room.conversation.model or 'the default one'}")


def _models(room: Room, _: str) -> None:
    room.console.print(listing(room.client.models.list()))


def _thinking(room: Room, choice: str) -> None:
    if choice in THINKING:
        room.conversation.thinking = THINKING[choice]
    words = {value: word for word, value in THINKING.items()}
    room.note(f"thinking: {words[room.conversation.thinking]}")


def _stats(room: Room, _: str) -> None:
    usages = [answer.usage for answer in room.conversation.answers]
    rows = Table.grid(padding=(0, 2))
    rows.add_row("answers", str(len(usages)))
    rows.add_row("tokens written", str(sum(usage.completion_tokens for usage in usages)))
    rows.add_row("tokens read", str(sum(usage.prompt_tokens for usage in usages)))
    rows.add_row("of these cached", str(sum(usage.cached_tokens for usage in usages)))
    rows.add_row("in the last call", str(usages[-1].total_tokens if usages else 0))
    room.console.print(rows)


def _exit(room: Room, _: str) -> None:
    raise Leave


COMMANDS: Mapping[str, Command] = {
    "/help": Command("", "this list", _help),
    "/clear": Command("", "forget what was said", _clear),
    "/system": Command("[TEXT]", "show or change what the model is told first", _system),
    "/model": Command("[ID]", "show or change the model", _model),
    "/models": Command("", "list the models", _models),
    "/thinking": Command("[on|off|auto]", "whether the model may think first", _thinking),
    "/stats": Command("", "tokens of this conversation", _stats),
    "/exit": Command("", "leave", _exit),
}
