"""What llama.cpp itself takes for the same tokens: no server, no sampling, no text."""

import subprocess
from dataclasses import dataclass

import msgspec

from bench import peer
from bench.servers import THREADS, Settings
from bench.shapes import BenchModel

_DEADLINE_S = 600.0


class _Line(msgspec.Struct):
    """Tokens per second of all sequences together, computing prompts and then answers of `tg`."""

    tg: int
    speed_pp: float
    speed_tg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """So many sequences at once, each with `prompt` tokens and an answer of `answer`."""

    streams: int
    prompt: int
    answer: int

    def measure(self, model: BenchModel, settings: Settings) -> float:
        """Tokens of answers per second that llama-batched-bench's two rates come to."""
        # It ends without waiting for what it logs, and may lose its last line. So it has a second
        # measurement after the one that counts.
        answers = f"{self.answer},1"
        command = [
            *(str(peer.program("llama-batched-bench")), "--model", str(model.path)),
            *("--ctx-size", str(settings.context), "--kv-unified"),
            *("--threads", str(THREADS), "--threads-batch", str(THREADS)),
            *("-npp", str(self.prompt), "-ntg", answers, "-npl", str(self.streams)),
            *("--output-format", "jsonl"),
        ]
        ran = subprocess.run(command, capture_output=True, check=True, timeout=_DEADLINE_S)
        lines = (line for line in ran.stdout.splitlines() if line.startswith(b"{"))
        line = next(msgspec.json.decode(line, type=_Line) for line in lines)
        assert line.tg == self.answer, "llama-batched-bench measured something else"
        return self.rate(line.speed_pp, line.speed_tg)

    def rate(self, prompt_rate: float, answer_rate: float) -> float:
        """The first token of an answer comes with its prompt: only the others are steps."""
        prompts_s = self.streams * self.prompt / prompt_rate
        answers_s = self.streams * (self.answer - 1) / answer_rate
        return self.streams * self.answer / (prompts_s + answers_s)
