"""The one training loop: epochs, early stopping, history, resuming, divergence.

Adam; early stopping on the validation loss as in the 2019 code (a loss that is not smaller counts;
training stops when the count reaches the patience). What an epoch draws depends on the seed and the
epoch alone, so a run that was killed goes on from its checkpoint and ends with the same bytes.
Losses stay on the device and are read once an epoch.
"""

import hashlib
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from workflow_src import artifacts, encoders
from workflow_src.config.methods import MethodProtocol, Training
from workflow_src.episodes.dataset import stack_rows
from workflow_src.errors import UserError
from workflow_src.training.objective import EpisodeIndex, Objective
from workflow_src.training.step import Step

# A training loss of more than this multiple of the untrained model's loss is no learning: InfoNCE
# in bfloat16 went from 8.3 to 17.9, while no healthy run was ever above its start by more than a
# few per cent.
DIVERGED = 1.5


@dataclass
class Progress:
    """All that changes while training, apart from the modules' own tensors."""

    epoch: int = 0  # the next one
    stale: int = 0  # epochs since the best validation loss
    best_loss: float = math.inf
    best: dict[str, torch.Tensor] = field(default_factory=dict)  # the weights at that loss
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
    what: str,
    labels: torch.Tensor | None = None,
    stack: int = 1,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    fingerprint: str = "",
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train ``objective`` in place; it ends with the weights that ``switches.keep`` asks for.

    ``frames``: uint8 (n, 210, 160) on the device, ``labels``: int64 (n, V) there, of what is
    supervised. An example's frame is itself and those before it in its episode, ``stack`` in all.
    ``rng(*names)`` gives the generator of that name. ``what`` names the training in errors.
    ``checkpoint`` is written at most every ``checkpoint_seconds``, holds the state after an epoch,
    is taken up again if it has the same ``fingerprint``, and stays: who has written the weights
    removes it. Returns one row an epoch, the first (epoch 0) being the untrained model's.
    `UserError` when the loss diverges or a part has fewer examples than a batch.
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
    learn, judge = (
        Step(
            objective,
            moves,
            frames,
            labels,
            precision=settings.precision,
            cuda_graphs=settings.cuda_graphs,
        )
        for moves in (optimizer, None)
    )
    state = _resume(checkpoint, fingerprint, objective, optimizer) or Progress()
    written = time.monotonic()

    def run(part: EpisodeIndex, name: str, step: Step) -> dict[str, float]:
        # Validation is the same batches every epoch, unless the protocol draws them anew (Q7).
        fixed = step is judge and name == "val" and switches.sampling == "permutation"
        which = (name,) if fixed else ("epoch", state.epoch, name)
        index = _batches(
            objective.draw(part, switches, rng(*which)), settings.batch_size, what, name
        )
        first = part.first[np.searchsorted(part.first, index, side="right") - 1]
        stacks = stack_rows(index.ravel(), first.ravel(), stack).reshape(*index.shape, stack)
        rows = torch.from_numpy(stacks).transpose(1, 2).to(device)
        bar = tqdm(
            rows,
            desc=f"{what} epoch {state.epoch} {name}",
            unit="batch",
            leave=False,
            disable=None if progress else True,
        )
        objective.train(step is learn)
        step.start()
        for batch in bar:
            step(batch)
        means = step.means(len(rows))
        row = {f"{name}_loss": sum(means.values())} | {
            f"{name}_{term}": value for term, value in means.items()
        }
        if not math.isfinite(row[f"{name}_loss"]):
            raise UserError(_diverged(what, state.epoch, name, row))
        return row

    while state.epoch <= settings.epochs and state.stale < settings.patience:
        # Epoch 0 does not learn: the untrained model's loss is what divergence is measured by.
        row: dict[str, Any] = {"epoch": state.epoch}
        row |= run(train, "train", learn if state.epoch > 0 else judge) | run(val, "val", judge)
        state.history.append(row)
        if row["train_loss"] > DIVERGED * state.history[0]["train_loss"]:
            raise UserError(_diverged(what, state.epoch, "train", row))
        if state.epoch > 0:
            if row["val_loss"] < state.best_loss:
                state.best_loss, state.stale = row["val_loss"], 0
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


def _batches(examples: np.ndarray, size: int, what: str, name: str) -> np.ndarray:
    """Examples (n, k) as full batches (n // size, size, k); the incomplete last one is left out."""
    if len(examples) < size:
        raise UserError(
            f"{what}: {len(examples)} {name} examples, fewer than a batch of {size}: collect more frames"
        )
    full = len(examples) // size
    return examples[: full * size].reshape(full, size, -1)


def _diverged(what: str, epoch: int, name: str, row: dict[str, float]) -> str:
    loss = row[f"{name}_loss"]
    return f"{what} diverged in epoch {epoch}: {name} loss {loss:.4g}; lower its lr or set training.precision: float32"


def _save(
    path: Path,
    fingerprint: str,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    state: Progress,
) -> None:
    content = {
        "fingerprint": fingerprint,
        "objective": objective.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(state),
    }
    blob = io.BytesIO()
    torch.save(content, blob)
    with artifacts.atomic(path) as temporary:
        temporary.write_bytes(hashlib.sha256(blob.getvalue()).digest() + blob.getvalue())


def _resume(
    path: Path | None, fingerprint: str, objective: Objective, optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Take up the checkpoint, or None where there is none of this very training; a damaged one costs time, nothing else."""
    if path is None or not path.exists():
        return None
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, blob = stored[:32], stored[32:]
    # torch.load checks no sums: it would take up flipped bits, or fail with errors of any type.
    if hashlib.sha256(blob).digest() != digest:
        return None
    content = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    if content["fingerprint"] != fingerprint:
        return None
    objective.load_state_dict(content["objective"])
    optimizer.load_state_dict(content["optimizer"])
    return Progress(**content["progress"])
