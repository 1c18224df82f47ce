"""The one training loop: epochs, early stopping, history, resuming, divergence.

Adam; early stopping on the validation loss as in the 2019 code: a loss that is not smaller counts,
and training stops when the count reaches the patience. Independent models that are trained as one
(`Objective.parts`) each stop by their own accuracy. What an epoch draws depends on the seed and
the epoch alone, so a run that was killed resumes from its checkpoint and ends with the same bytes.
Losses stay on the device and are read once per epoch.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflow_src import checkpoints, devices, encoders
from workflow_src.config.methods import MethodProtocol, Training
from workflow_src.episodes.dataset import stack_rows
from workflow_src.errors import UserError
from workflow_src.live import Meter
from workflow_src.schedules import Limits, Schedule
from workflow_src.training.objective import EpisodeIndex, Objective
from workflow_src.training.step import ACCURACY, Step, accuracy_of

# A training loss above this multiple of the untrained model's counts as divergence: InfoNCE in
# bfloat16 went from 8.3 to 17.9, while no healthy run was ever more than a few per cent above its
# start.
DIVERGED = 1.5


@dataclass
class Progress:
    """All that changes while training, apart from the modules' own tensors."""

    epoch: int = 0  # the next one
    stale: int = 0  # epochs since the best validation
    best_score: float = -math.inf  # the accuracy, or the loss with its sign changed
    best: dict[str, torch.Tensor] = field(default_factory=dict)  # the weights at that time
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    objective: Objective,
    frames: torch.Tensor,
    train: EpisodeIndex,
    val: EpisodeIndex,
    settings: Training,
    switches: MethodProtocol,
    rng: Callable[..., np.random.Generator],
    *,
    name: str,
    labels: torch.Tensor | None = None,
    stack: int = 1,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    fingerprint: str = "",
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train ``objective`` in place; it ends with the weights that ``switches.keep`` asks for.

    ``frames``: uint8 (n, 210, 160) on the device; ``labels``: int64 (n, V) there, for supervised
    methods. An example's frame is stacked with those before it in its episode, ``stack`` in all.
    ``rng(*names)`` gives the generator of that name. ``name`` names the training in errors.
    ``checkpoint`` holds the state after an epoch and is written at most every
    ``checkpoint_seconds``; it is resumed from if it has the same ``fingerprint``, and the caller
    deletes it once the weights are written. Returns one row per epoch; the first (epoch 0) is the
    untrained model's. `UserError` when the loss diverges or a part has fewer examples than a batch.
    """
    device = frames.device
    objective.to(device)
    if settings.channels_last:
        encoders.channels_last(objective)
    optimizer = torch.optim.Adam(
        objective.parameters(),
        lr=settings.lr,
        eps=settings.eps,
        fused=True,
        capturable=device.type == "cuda",
    )
    learn, validate = (
        Step(
            objective,
            updates,
            frames,
            labels,
            precision=devices.precision(settings.precision, device),
            cuda_graphs=settings.cuda_graphs,
        )
        for updates in (optimizer, None)
    )
    state = _resume(checkpoint, fingerprint, objective, optimizer) or Progress()
    written = time.monotonic()
    accuracies = {ACCURACY, *map(accuracy_of, objective.parts)}
    parts = _Parts(objective, settings) if objective.parts else None
    if parts is not None:
        for past in state.history[1:]:
            parts.update(past)
        learn.share.copy_(torch.from_numpy(parts.share))

    def run(index: EpisodeIndex, part: str, step: Step) -> dict[str, float]:
        # Validation uses the same batches in every epoch, unless the protocol draws new ones (Q7).
        fixed = step is validate and part == "val" and switches.sampling == "permutation"
        which: tuple = (part,) if fixed else ("epoch", state.epoch, part)
        examples = objective.draw(index, switches, rng(*which))
        batches = _batches(examples, settings.batch_size, f"{name}: {len(examples)} {part}")
        first = index.first[np.searchsorted(index.first, batches, side="right") - 1]
        stacks = stack_rows(batches.ravel(), first.ravel(), stack).reshape(*batches.shape, stack)
        rows = torch.from_numpy(stacks).transpose(1, 2).to(device)
        objective.train(step is learn)
        step.start()
        for number, batch in enumerate(rows, 1):
            step(batch)
            if step is learn:
                meter.count(settings.batch_size, number / len(rows))
        means = step.means(len(rows))
        row = {f"{part}_loss": sum(v for term, v in means.items() if term not in accuracies)}
        # The accuracy matters in validation alone, and may be left out elsewhere.
        shown = {t: v for t, v in means.items() if part == "val" or t not in accuracies}
        row |= {f"{part}_{term}": value for term, value in shown.items()}
        if not math.isfinite(row[f"{part}_loss"]):
            raise UserError(_diverged(name, state.epoch, part, row))
        return row

    meter = Meter(name, settings.epochs, "examples", max(state.epoch, 1), lines=progress)
    while state.epoch <= settings.epochs and state.stale < settings.patience:
        # Epoch 0 does not learn: divergence is measured against the untrained model's loss.
        row: dict[str, Any] = {"epoch": state.epoch}
        meter.begin(state.epoch)
        row |= run(train, "train", learn if state.epoch > 0 else validate)
        row |= run(val, "val", validate)
        state.history.append(row)
        meter.end(state.history)
        if row["train_loss"] > DIVERGED * state.history[0]["train_loss"]:
            raise UserError(_diverged(name, state.epoch, "train", row))
        if state.epoch > 0 and parts is not None:
            better = parts.update(row)
            learn.share.copy_(torch.from_numpy(parts.share))
            if switches.keep == "best":
                _keep(state.best, objective, torch.from_numpy(better).to(device))
            # Counted for each part: here, only whether all of them have stopped.
            state.stale = 0 if parts.share.any() else settings.patience
        elif state.epoch > 0:
            score = row.get(f"val_{ACCURACY}", -row["val_loss"])
            if score > state.best_score:
                state.best_score, state.stale = score, 0
                if switches.keep == "best":
                    state.best = {
                        name: tensor.detach().clone()
                        for name, tensor in objective.state_dict().items()
                    }
            else:
                state.stale += 1
        state.epoch += 1
        last = state.epoch > settings.epochs or state.stale >= settings.patience
        if checkpoint is not None and (last or time.monotonic() - written >= checkpoint_seconds):
            _save(checkpoint, fingerprint, objective, optimizer, state)
            written = time.monotonic()
    if switches.keep == "best":
        objective.load_state_dict(state.best)
    return state.history


class _Parts:
    """The schedule of an objective's parts. It is a function of the history."""

    def __init__(self, objective: Objective, settings: Training):
        limits, self._lr = Limits(settings.patience, **objective.plateau), settings.lr
        self._names = [f"val_{accuracy_of(part)}" for part in objective.parts]
        self._schedule = Schedule(len(self._names), self._lr, limits)
        self.share = np.ones(len(self._names), np.float32)  # of the rate; 0 once it has stopped

    def update(self, row: dict[str, float]) -> np.ndarray:
        """Go on after an epoch; returns the parts that are the best so far, bool (V,)."""
        running = self.share > 0
        better, stopped = self._schedule.step(np.array([row[name] for name in self._names]))
        self.share = np.where(running & ~stopped, self._schedule.rate / self._lr, 0).astype(
            np.float32
        )
        return better & running


def _keep(best: dict[str, torch.Tensor], objective: Objective, better: torch.Tensor) -> None:
    """Take the weights of the parts of the mask ``better`` (V,) into ``best``."""
    for name, tensor in objective.state_dict().items():
        best.setdefault(name, tensor.detach().clone())[better] = tensor.detach()[better]


def _batches(examples: np.ndarray, size: int, name: str) -> np.ndarray:
    """Examples (n, k) as full batches (n // size, size, k); the incomplete last one is left out."""
    if len(examples) < size:
        raise UserError(f"{name} examples, fewer than a batch of {size}: collect more frames")
    full = len(examples) // size
    return examples[: full * size].reshape(full, size, -1)


def _diverged(name: str, epoch: int, part: str, row: dict[str, float]) -> str:
    loss = row[f"{part}_loss"]
    return (
        f"{name} diverged in epoch {epoch}: {part} loss {loss:.4g}; "
        "lower its lr or set training.precision: float32"
    )


def _save(
    path: Path,
    fingerprint: str,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    state: Progress,
) -> None:
    content = {
        "objective": objective.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(state),
    }
    checkpoints.save(path, fingerprint, content)


def _resume(
    path: Path | None, fingerprint: str, objective: Objective, optimizer: torch.optim.Optimizer
) -> Progress | None:
    content = checkpoints.load(path, fingerprint)
    if content is None:
        return None
    objective.load_state_dict(content["objective"])
    optimizer.load_state_dict(content["optimizer"])
    return Progress(**content["progress"])
