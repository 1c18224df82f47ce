"""One-step Q-learning (arXiv 1602.01783), its actors in lockstep: ``r + gamma max_a T(s', a)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from workflow_src.agents.learner import learner
from workflow_src.agents.learners.n_step_q import NStepQ

if TYPE_CHECKING:
    from workflow_src.agents.rollout import Rollout

OPTIONS = {"horizon": 5, "per_actor": True}
VARIANTS = ["dueling", "recurrent"]


@learner("one-step-q")
class OneStepQ(NStepQ):
    """Looks one step ahead."""

    def goals(self, rollout: Rollout, values: torch.Tensor) -> torch.Tensor:
        """Reward and the target's value of the next state: (T, n)."""
        future = self.future(rollout, self.rollout_values(self.target, rollout)[1:])
        return rollout.reward + self.row.gamma * rollout.goes_on * future

    def future(self, rollout: Rollout, following: torch.Tensor) -> torch.Tensor:
        """What counts of the target's values (T, n, actions) of the next states: (T, n)."""
        return following.amax(2)
