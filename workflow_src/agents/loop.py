"""What the two ways of learning share: from a memory (`replay`), or from what was just played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workflow_src.errors import UserError

if TYPE_CHECKING:
    from workflow_src.agents.encoded import Encoded
    from workflow_src.agents.progress import Line
    from workflow_src.agents.vector import Vector
    from workflow_src.config.agents import Agent


@dataclass(frozen=True)
class Room:
    """Where a learner learns: its row, its environments, and its generators by epoch and name."""

    row: Agent
    name: str  # of agent and game, for errors
    vector: Vector | Encoded
    device: torch.device
    rng: Callable[..., np.random.Generator]
    line: Line

    def begin(self, epoch: int) -> range:
        """Begin new games; the steps of the epoch, of all environments together."""
        row, n = self.row, self.row.num_envs
        self.vector.new_games([self.rng(epoch, "environment", i) for i in range(n)])
        first = epoch * row.validate_every
        return range(first, first + row.validate_every, n)

    def summary(
        self, epoch: int, scores: list[float], epsilon: float, updates: int, losses: torch.Tensor
    ) -> dict[str, Any]:
        """An epoch's row of the history; ``losses``: their sum. `UserError` if it is no number."""
        loss = float(losses) / updates if updates else float("nan")
        if updates and not np.isfinite(loss):
            raise UserError(
                f"{self.name}: the loss of epoch {epoch} is {loss}; lower optimizer.lr or set "
                "optimizer.max_norm"
            )
        steps = (epoch + 1) * self.row.validate_every
        return {
            "epoch": epoch,
            "step": steps,
            "frames": steps * self.vector.frame_skip,
            "games": len(scores),
            "training_score": float(np.mean(scores)) if scores else float("nan"),
            "epsilon": epsilon,
            "updates": updates,
            "loss": loss,
        }


class Loop:
    """An epoch of playing and learning, and what has to be saved beside the learner."""

    def learn(self, epoch: int) -> dict[str, Any]:
        """Play and learn for an epoch; its row of the history."""
        raise NotImplementedError

    def diagnose(self) -> dict[str, float]:
        """``value`` and ``delta`` of the history's row: mean value, mean absolute error."""
        raise NotImplementedError

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what is large to ``folder``, and return the rest."""
        return {}

    def prune(self, folder: Path, state: dict[str, Any]) -> None:
        """Delete what ``state`` does not name from ``folder``."""

    def load(self, folder: Path, state: dict[str, Any]) -> bool:
        """Go on from a state; False, and nothing is changed, if its files are not all whole."""
        return True
