"""What learners have in common that learn from what their actors just played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workflow_src.agents import optimizers
from workflow_src.agents.base import Learner

if TYPE_CHECKING:
    from workflow_src.agents.rollout import Rollout

# The last chances of random actions of Kaixhin/Atari's actors (Mnih et al. 2016), and how likely
# an actor has each.
_ENDS, _CHANCES = (0.1, 0.01, 0.5), (0.4, 0.3, 0.3)


@dataclass(frozen=True)
class LearnedFrom:
    """What an update tells, on the device: its mean loss, and the mean value of the states."""

    loss: torch.Tensor
    value: torch.Tensor


class OnPolicy(Learner):
    """Learns from rollouts."""

    replays = False
    explores = True  # with a chance of random actions, not by drawing from a policy
    looks_ahead = False  # needs the action that follows the last one

    @property
    def options(self) -> dict[str, Any]:
        """The settings of the kind."""
        return self.row.kind_options

    @property
    def horizon(self) -> int:
        """Steps of each actor for an update."""
        return self.options["horizon"]

    def draw_exploration(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """The last chance of a random action of each of ``n`` actors."""
        if self.explores and self.options["per_actor"]:
            return rng.choice(_ENDS, size=n, p=_CHANCES)
        return np.full(n, self.row.epsilon.end)

    def learn_from(self, rollout: Rollout, share: float, rng: np.random.Generator) -> LearnedFrom:
        """Update the network; ``share``: of the training that is done."""
        raise NotImplementedError

    def sync(self) -> None:
        """Copy the network to its target, if there is one."""

    def anneal(self, share: float) -> None:
        """Let the learning rate fall to 0, if the settings say so."""
        if self.row.optimizer.anneal:
            optimizers.set_lr(self.optimizer, self.row.optimizer.lr * (1 - share))
