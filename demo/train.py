"""Trains the network on the packed corpus, with checkpoints from which a run resumes exactly."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
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
    num_steps: int = 5500
    batch_tokens: int = 4096
    peak_rate: float = 3e-3
    warmup_steps: int = 100
    decay_share: float = 0.68
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    seed: int = 1
    checkpoint_steps: int = 250

    def rate(self, step: int) -> float:
        """Warm up, hold, then fall to nearly nothing over the last `decay_share` of the run."""
        left = (self.num_steps - step) / (self.num_steps * self.decay_share)
        return self.peak_rate * min((step + 1) / self.warmup_steps, 1.0, max(left, 0.02))


Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def batches(plan: TrainingPlan, sources: list[Rows]) -> Iterator[Batch]:
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
    """Leaves `checkpoint.pt` and `losses.json` in `work`; continues from them if they are there."""
    torch.manual_seed(plan.seed)
    sources = dataset.load(work / "rows.npz")
    model = DemoModel(shape)
    optimizers = _optimizers(model, plan)
    compute_loss = torch.compile(loss_of, dynamic=False)
    losses: list[float] = []
    seconds = 0.0
    checkpoint_path = work / "checkpoint.pt"
    if checkpoint_path.exists():
        state = torch.load(checkpoint_path)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        losses, seconds = state["losses"], state["seconds"]

    started = time.monotonic() - seconds
    stream = batches(plan, sources)
    for _ in range(len(losses)):
        next(stream)
    for step in range(len(losses), plan.num_steps):
        loss = compute_loss(model, next(stream))
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip_norm)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = plan.rate(step)
            optimizer.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise RuntimeError(f"loss became {losses[-1]} at step {step}")
        seconds = time.monotonic() - started
        if step % 20 == 0:
            speed = plan.batch_tokens * len(losses) / seconds
            print(f"step {step} loss {losses[-1]:.4f} {seconds:.0f}s {speed:.0f} tok/s", flush=True)
        if len(losses) % plan.checkpoint_steps == 0 or len(losses) == plan.num_steps:
            state = {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "losses": losses,
                "seconds": seconds,
            }
            partial = checkpoint_path.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(checkpoint_path)
    _write_facts(work, model, plan, losses, seconds)
    return model


def _optimizers(model: DemoModel, plan: TrainingPlan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, which learn faster by it, and AdamW for the rest."""
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    norms = [p for p in model.parameters() if p.ndim == 1]
    groups = [
        {"params": [model.token_embd.weight], "weight_decay": 0.01},
        {"params": norms, "weight_decay": 0.0},
    ]
    muon = torch.optim.Muon(
        matrices, plan.peak_rate, plan.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(groups, plan.peak_rate, betas=(0.9, 0.98), fused=True)]


def _write_facts(
    work: Path, model: DemoModel, plan: TrainingPlan, losses: list[float], seconds: float
) -> None:
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": len(losses),
        "tokens": len(losses) * plan.batch_tokens,
        "seconds": round(seconds),
        "final_loss": round(float(np.mean(losses[-50:])), 4),
        "shape": asdict(model.shape),
        "plan": asdict(plan),
    }
    (work / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (work / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
