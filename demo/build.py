"""Makes the demo model from nothing: corpus, tokenizer, training, GGUF, loss curve.

    python -m demo.build [--work FOLDER]

Every stage leaves its result in the work folder and is skipped when that is there, so a run that
was interrupted goes on where it stopped.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from demo import dataset, export, tokenizer, train
from demo.corpus import mixture
from demo.corpus.dialogue import Conversation
from demo.model import ModelShape
from demo.template import render_pieces
from demo.tokenizer import ADDED_TOKEN, DemoTokenizer
from demo.train import TrainingPlan

DEMO = Path(__file__).parent
MODEL_PATH = DEMO.parent / "server" / "corral_server" / "assets" / "demo.gguf"
TOKENIZER_SEED, NUM_TOKENIZER_DOCUMENTS = 101, 20_000
LESSONS = {
    "plain": (mixture.PLAIN, 202, 120_000),
    "hard": (mixture.HARD, 303, 52_000),
    "hardest": (mixture.HARDEST, 404, 16_000),
}
"""The lessons in order, each with its seed and its number of documents."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make Corral's demo model.")
    parser.add_argument("--work", type=Path, default=Path("build/demo"), help="work folder")
    parser.add_argument("--output", type=Path, default=MODEL_PATH, help="the GGUF file to write")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)

    tokenizer_path = work / "tokenizer.json"
    if not tokenizer_path.exists():
        tokenizer.train(_tokenizer_texts()).save(str(tokenizer_path))
    for name, (lesson, seed, num_documents) in LESSONS.items():
        path = work / f"{name}.npz"
        if not path.exists():
            documents = islice(mixture.documents(seed, lesson), num_documents)
            sources = dataset.build(documents, DemoTokenizer(tokenizer_path))
            dataset.save(path, sources)
            for rows in sources:
                print(f"{name}: {len(rows)} rows of {rows.row_length} tokens", flush=True)

    model = train.train(work, ModelShape(), TrainingPlan())
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    export.export(arguments.output, model, tokenizer_path)
    print(f"{arguments.output}: {arguments.output.stat().st_size} bytes")
    if arguments.output == MODEL_PATH:
        _write_facts(work / "training.json", DEMO / "training.json")
        draw_losses(work / "losses.json", DEMO / "loss.png")


def _write_facts(source: Path, target: Path) -> None:
    seeds = {"tokenizer": TOKENIZER_SEED} | {name: seed for name, (_, seed, _) in LESSONS.items()}
    facts = json.loads(source.read_text(encoding="utf-8")) | {"corpus_seeds": seeds}
    target.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _tokenizer_texts() -> Iterator[str]:
    for document in islice(mixture.documents(TOKENIZER_SEED), NUM_TOKENIZER_DOCUMENTS):
        if isinstance(document, str):
            yield document
        else:
            yield from _plain_texts(document)


def _plain_texts(conversation: Conversation) -> Iterator[str]:
    """All that a conversation holds between its control and markup tokens."""
    messages = [message.as_dict() for message in conversation.messages]
    tools = [tool.as_dict() for tool in conversation.tools]
    for text, _ in render_pieces(messages, tools, add_generation_prompt=False):
        yield from ADDED_TOKEN.split(text)


def draw_losses(source: Path, target: Path) -> None:
    losses = np.array(json.loads(source.read_text(encoding="utf-8")))
    window = 25
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    figure, axes = plt.subplots(figsize=(8, 4))
    axes.plot(losses, color="lightsteelblue", linewidth=0.6, label="each step")
    axes.plot(np.arange(len(smooth)) + window // 2, smooth, color="navy", label="mean of 25")
    axes.set(xlabel="step", ylabel="loss", yscale="log", title="Training the demo model")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main()
