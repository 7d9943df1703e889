"""Trains the network on the packed corpus, with checkpoints from which a run resumes exactly."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from demo import dataset
from demo.dataset import Rows
from demo.model import DemoModel, ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Each lesson up to its last step; between knots the rate is linear."""

    lesson_ends: Mapping[str, int] = field(
        default_factory=lambda: {"plain": 3250, "hard": 4250, "hardest": 5050}
    )
    rate_knots: tuple[tuple[int, float], ...] = (
        (0, 0.00003),
        (99, 0.003),
        (1760, 0.003),
        (3250, 0.001805),
        (4250, 0.0010972),
        (5050, 0.0),
    )
    batch_tokens: int = 4096
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    seed: int = 1
    checkpoint_steps: int = 250

    @property
    def num_steps(self) -> int:
        return self.rate_knots[-1][0]

    def rate(self, step: int) -> float:
        steps, rates = zip(*self.rate_knots, strict=True)
        return float(np.interp(step, steps, rates))


Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def batches(plan: TrainingPlan, work: Path) -> Iterator[Batch]:
    """The batch of every step of the plan."""
    start = 0
    for lesson, end in plan.lesson_ends.items():
        yield from islice(_shuffled(plan, dataset.load(work / f"{lesson}.npz")), end - start)
        start = end


def _shuffled(plan: TrainingPlan, sources: list[Rows]) -> Iterator[Batch]:
    """Shuffled passes over all rows, each batch of one row length, without end."""
    rng = np.random.default_rng(plan.seed)
    while True:
        groups: list[tuple[Rows, Any]] = []
        for rows in sources:
            num_rows = plan.batch_tokens // rows.row_length
            order = rng.permutation(len(rows))
            full = len(order) // num_rows * num_rows
            groups += [(rows, group) for group in order[:full].reshape(-1, num_rows)]
        for index in rng.permutation(len(groups)):
            rows, group = groups[index]
            yield (
                torch.from_numpy(rows.tokens[group].astype(np.int64)),
                torch.from_numpy(rows.targets[group].astype(np.int64)),
                torch.from_numpy(rows.weights[group].astype(np.float32)),
                torch.from_numpy(rows.segments[group]),
            )


def loss_of(model: DemoModel, batch: Batch) -> Tensor:
    tokens, targets, weights, segments = batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.logits(model(tokens, segments))
    each = functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), reduction="none"
    )
    return (each * weights.flatten()).sum() / weights.sum()


def train(work: Path, shape: ModelShape, plan: TrainingPlan) -> DemoModel:
    """Leaves a checkpoint and the facts of the run in `work`; continues from the checkpoint."""
    torch.manual_seed(plan.seed)
    model = DemoModel(shape)
    run = _Run(model, _optimizers(model, plan))
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        run.load(checkpoint)
    compute_loss = torch.compile(loss_of, dynamic=False)
    started = time.monotonic() - run.seconds
    stream = islice(batches(plan, work), len(run.losses), None)
    for step in range(len(run.losses), plan.num_steps):
        loss = compute_loss(model, next(stream))
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip_norm)
        for optimizer in run.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = plan.rate(step)
            optimizer.step()
        run.losses.append(loss.item())
        run.seconds = time.monotonic() - started
        if not math.isfinite(run.losses[-1]):
            raise RuntimeError(f"loss became {run.losses[-1]} at step {step}")
        if step % 20 == 0:
            speed = plan.batch_tokens * len(run.losses) / run.seconds
            print(f"step {step} loss {run.losses[-1]:.4f} {speed:.0f} tokens/s", flush=True)
        if len(run.losses) % plan.checkpoint_steps == 0 or len(run.losses) == plan.num_steps:
            run.save(checkpoint)
    _write_facts(work, run, plan)
    return model


@dataclass(slots=True)
class _Run:
    """All that a run must carry over an interruption."""

    model: DemoModel
    optimizers: list[torch.optim.Optimizer]
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def load(self, path: Path) -> None:
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.losses, self.seconds = state["losses"], state["seconds"]

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "losses": self.losses,
            "seconds": self.seconds,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)


def _optimizers(model: DemoModel, plan: TrainingPlan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, which learn faster by it, and AdamW for the rest."""
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    norms = [p for p in model.parameters() if p.ndim == 1]
    groups = [
        {"params": [model.token_embd.weight], "weight_decay": 0.01},
        {"params": norms, "weight_decay": 0.0},
    ]
    muon = torch.optim.Muon(
        matrices, plan.rate(0), plan.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(groups, plan.rate(0), betas=(0.9, 0.98), fused=True)]


def _write_facts(work: Path, run: _Run, plan: TrainingPlan) -> None:
    facts = {
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "steps": len(run.losses),
        "tokens": len(run.losses) * plan.batch_tokens,
        "seconds": round(run.seconds),
        "final_loss": round(float(np.mean(run.losses[-50:])), 4),
        "shape": asdict(run.model.shape),
        "plan": asdict(plan),
    }
    (work / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (work / "losses.json").write_text(json.dumps(run.losses), encoding="utf-8")
