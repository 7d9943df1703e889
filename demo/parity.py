"""Proves that llama.cpp reads the file as it was meant: same tokens, same logits, same choices.

    python -m demo.parity --work FOLDER [--model FILE]

Needs both the training packages and llama-cpp-python.
"""

import argparse
from itertools import islice
from pathlib import Path

import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray

from demo.corpus import mixture
from demo.evaluate import MODEL_PATH
from demo.model import DemoModel, ModelShape
from demo.tokenizer import DemoTokenizer

ODD_TEXTS = (
    "", " ", "  ", "\n", "\n\n \n", "\t a\tb", "a  b   c", "line\r\nline", "caf\u00e9 na\u00efve",
    "\u4f60\u597d\uff0c\u4e16\u754c", "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 ok",
    "I'm you'LL they've", "<|im_end|> <think> </tool_call>", "1234567890", "3.14e-10",
    "\u0661\u0662",
    "a\u0301e\u0308", "\u00a0nbsp\u2003wide", "(\"quoted\")", "!!!???...", "x" * 300,
    "\x00\x01\x7f",
    "\u0939\u093f\u0928\u094d\u0926\u0940", "end \n", "\u00df\u017f\u0130", "snake_case-kebab",
    "{}[]\n\n",
)  # fmt: skip
LARGEST_LOGIT_GAP = 0.75
"""Eight-bit weights and activations move logits a little; a wrong layout moves them by tens."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare our network with llama.cpp's.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=MODEL_PATH)
    arguments = parser.parse_args()
    tokenizer = DemoTokenizer(arguments.work / "tokenizer.json")
    llama = llama_cpp.Llama(str(arguments.model), n_ctx=2048, verbose=False, logits_all=True)

    documents = list(islice(mixture.documents(seed=999), 1000))
    texts = [document for document in documents if isinstance(document, str)]
    texts += [m.content for d in documents if not isinstance(d, str) for m in d.messages]
    for text in [*ODD_TEXTS, *texts]:
        expected = tokenizer.encode_text(text)
        if list(llama.tokenize(text.encode(), add_bos=False, special=False)) != expected:
            raise SystemExit(f"llama.cpp tokenizes {text!r} in another way")
    print(f"{len(ODD_TEXTS) + len(texts)} texts tokenized alike")

    model = DemoModel(ModelShape())
    model.load_state_dict(torch.load(arguments.work / "checkpoint.pt")["model"])
    gap, num_same, num_choices = 0.0, 0, 0
    for document in documents[:40]:
        tokens, weights = tokenizer.encode_document(document)
        ours, theirs = _our_logits(model, tokens), _their_logits(llama, tokens)
        learnt = np.array(weights[1:]) == 1.0
        ours, theirs = ours[:-1][learnt], theirs[:-1][learnt]
        gap = max(gap, float(np.abs(ours - theirs).max()))
        num_same += int((ours.argmax(1) == theirs.argmax(1)).sum())
        num_choices += len(ours)
    print(f"largest logit difference {gap:.3f}; same choice {num_same} of {num_choices}")
    if gap > LARGEST_LOGIT_GAP or num_same < 0.99 * num_choices:
        raise SystemExit("the networks differ")


def _our_logits(model: DemoModel, tokens: list[int]) -> NDArray[np.float32]:
    row = torch.tensor([tokens])
    with torch.no_grad():
        return np.asarray(model.logits(model(row, torch.zeros_like(row)))[0].numpy())


def _their_logits(llama: llama_cpp.Llama, tokens: list[int]) -> NDArray[np.float32]:
    llama.reset()  # type: ignore[no-untyped-call]
    llama.eval(tokens)
    return np.array(llama.scores[: len(tokens)])


if __name__ == "__main__":
    main()
