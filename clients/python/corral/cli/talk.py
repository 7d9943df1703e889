"""A conversation in the terminal: lines typed, answers shown while they are written."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from corral.answers import Delta
from corral.cli.conversation import Conversation
from corral.cli.failures import report
from corral.cli.listing import summary
from corral.cli.output import phrase, stdout, write
from corral.cli.slash import COMMANDS, Leave, run_command
from corral.cli.thinking import ThinkingSplitter
from corral.errors import CorralError
from corral.sync import AnswerStream, Client
from corral.v1.inference_pb2 import ChatStreamResponse, Finished
from corral.v1.usage_pb2 import FinishReason


class Talk:
    """One conversation on one terminal. Errors are shown and the conversation goes on."""

    def __init__(self, client: Client, conversation: Conversation) -> None:
        self._client = client
        self._conversation = conversation
        self._console = stdout()

    def greet(self) -> None:
        """Says who will answer. Raises what asking for the model raises."""
        model = self._client.models.get(self._conversation.model)
        self._console.print(
            f"{model.id} ({summary(model)}) at {self._client.address}. "
            "/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.",
            style="dim",
        )

    def run(self, lines: Iterable[str]) -> None:
        """Answers every line, until there are no more or one says /exit."""
        for line in filter(None, map(str.strip, lines)):
            try:
                if line.startswith("/"):
                    run_command(line, self._client, self._conversation, self._console)
                else:
                    self._answer(line)
            except CorralError as error:
                report(error)
            except Leave:
                return

    def _answer(self, line: str) -> None:
        """Shows the answer. Ctrl-C ends it; what was said until then stays said."""
        answer = self._conversation.ask(self._client, line)
        try:
            with answer:
                self._show(answer)
        except KeyboardInterrupt:
            self._note("stopped")
        finally:
            self._conversation.record(line, answer)
        if answer.finished is not None:
            self._note(_footer(answer.finished))
        self._console.print()

    def _show(self, answer: AnswerStream[ChatStreamResponse]) -> None:
        """Writes the answer as it comes, thoughts dimmed, and ends its last line."""
        splitter = ThinkingSplitter()
        try:
            for delta in self._spin_until_first(answer):
                self._write(splitter.feed(delta.text))
            self._write([splitter.end()])
        finally:
            if answer.text:
                write(self._console, "\n")

    def _spin_until_first(self, answer: AnswerStream[ChatStreamResponse]) -> Iterator[Delta]:
        """The answer's deltas; a spinner stands in for the first, which may take long."""
        with self._console.status(""):
            first = next(answer, None)
        if first is not None:
            yield first
            yield from answer

    def _write(self, parts: Iterable[tuple[str, bool]]) -> None:
        for text, is_thought in parts:
            write(self._console, text, "dim" if is_thought else "")

    def _note(self, text: str) -> None:
        self._console.print(text, style="dim")


def _footer(finished: Finished) -> str:
    usage, timings = finished.usage, finished.timings
    parts = [
        f"{usage.completion_tokens} tokens",
        f"{timings.decode_tokens_per_second:.1f} tok/s",
        f"first after {timings.time_to_first_token.ToTimedelta().total_seconds():.2f} s",
    ]
    if finished.reason != FinishReason.FINISH_REASON_EOS:
        parts.append(f"ended by {phrase(FinishReason, finished.reason)}")
    return " · ".join(parts)


def typed_lines() -> Iterator[str]:
    """Lines typed in the terminal, with editing and the history of earlier conversations. Ctrl-C
    drops the line being typed, Ctrl-D ends them."""
    # Here, because importing them takes longer than most commands run.
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory

    path = _history_file()
    session: PromptSession[str] = PromptSession(
        "> ",
        history=None if path is None else FileHistory(path),
        completer=WordCompleter(list(COMMANDS), sentence=True),
    )
    while True:
        try:
            yield session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _history_file() -> Path | None:
    """Where typed lines are kept, readable by their writer alone; None where nothing can be."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(state) / "corral" / "chat_history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return None
    return path
