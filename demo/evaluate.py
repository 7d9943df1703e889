"""Grades a demo model on the held-back set at temperature 0; fails below 95 percent.

python -m demo.evaluate [--model FILE] [--failures]
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import Llama, llama_vocab_is_eog
from numpy.typing import NDArray

from demo import heldback, template
from demo.heldback import Case

MODEL_PATH = Path(__file__).parent.parent / "server" / "corral_server" / "assets" / "demo.gguf"
PASS_SHARE = 0.95
MAX_TOKENS = 400
PARAPHRASES = (
    ("What is the capital of France?", "Tell me France's capital city."),
    ("What is 7 plus 5?", "Please add 7 and 5."),
    ("How is the weather in Oslo?", "Is it raining in Oslo?"),
    ("Tell me a story about a fox.", "I want to hear a story with a fox."),
    ("Count to five.", "List the numbers from one to five."),
    ("Who are you?", "What is your name?"),
    ("Goodbye!", "See you later."),
    ("Repeat the word banana.", "Say banana."),
)


class Player:
    """Runs the model as the service does: text apart from scaffold, the likeliest token next."""

    def __init__(self, path: Path, *, embedding: bool = False) -> None:
        self.llama = Llama(
            str(path),
            n_ctx=2048,
            n_threads=1,
            n_threads_batch=1,
            verbose=False,
            embedding=embedding,
        )
        self._vocab = self.llama._model.vocab

    def prompt_tokens(self, case: Case) -> list[int]:
        if isinstance(case.prompt, str):
            return self.tokenize(case.prompt, is_text=True)
        options = {"add_generation_prompt": True, "enable_thinking": case.enable_thinking}
        pieces = template.render_pieces(case.prompt, case.tools, **options)
        return [t for text, is_text in pieces for t in self.tokenize(text, is_text=is_text)]

    def tokenize(self, text: str, *, is_text: bool) -> list[int]:
        return list(self.llama.tokenize(text.encode(), add_bos=False, special=not is_text))

    def complete(self, prompt: Sequence[int], max_tokens: int = MAX_TOKENS) -> list[int]:
        """The answer's tokens, without the one that ends it."""
        tokens: list[int] = []
        for token in self.llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
            if llama_vocab_is_eog(self._vocab, token) or len(tokens) == max_tokens:
                break
            tokens.append(token)
        return tokens

    def text(self, tokens: list[int]) -> str:
        return str(self.llama.detokenize(tokens, special=True).decode("utf-8", "replace"))

    def embed(self, text: str) -> NDArray[np.float32]:
        """The mean over the text's tokens of the last hidden state, at length one."""
        states: Any = self.llama.embed(text)
        mean = np.atleast_2d(np.asarray(states, np.float32)).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


def grade(player: Player, case: Case) -> tuple[bool, str]:
    answer = player.complete(player.prompt_tokens(case))
    text = player.text(answer)
    judged = case.prompt + text if isinstance(case.prompt, str) else text
    return len(answer) >= case.min_tokens and case.check(judged), text


def paraphrase_score(player: Player) -> int:
    """How many second sentences of the pairs lie nearest to their first."""
    firsts = np.stack([player.embed(first) for first, _ in PARAPHRASES])
    seconds = np.stack([player.embed(second) for _, second in PARAPHRASES])
    nearest = (seconds @ firsts.T).argmax(axis=1)
    return int((nearest == np.arange(len(PARAPHRASES))).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description="Grade a demo model on the held-back set.")
    parser.add_argument("--model", type=Path, default=MODEL_PATH)
    parser.add_argument("--failures", action="store_true", help="print every wrong answer")
    arguments = parser.parse_args()

    player = Player(arguments.model)
    totals: Counter[str] = Counter()
    rights: Counter[str] = Counter()
    for case in heldback.cases():
        is_right, text = grade(player, case)
        totals[case.skill] += 1
        rights[case.skill] += is_right
        if arguments.failures and not is_right:
            print(f"{case.skill}: {case.question!r} -> {text!r}")

    print(f"{'skill':<30}{'right':>6}{'of':>6}")
    for skill, total in totals.items():
        print(f"{skill:<30}{rights[skill]:>6}{total:>6}")
    score = rights.total() / totals.total()
    print(f"{'total':<30}{rights.total():>6}{totals.total():>6}   {score:.1%}")
    embedder = Player(arguments.model, embedding=True)
    print(f"paraphrases found by embedding: {paraphrase_score(embedder)} of {len(PARAPHRASES)}")
    sys.exit(score < PASS_SHARE)


if __name__ == "__main__":
    main()
