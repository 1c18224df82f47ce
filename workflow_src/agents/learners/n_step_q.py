"""n-step Q-learning (Mnih et al. 2016, arXiv 1602.01783), its actors in lockstep.

``R_t = r_t + gamma R_(t+1)`` is the goal of ``Q(s_t, a_t)``, back from ``max_a T(s, a)`` of the
state in which the rollout ends, with ``T`` the target network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workflow_src.agents.learner import learner
from workflow_src.agents.learners.dqn import DQN, pick
from workflow_src.agents.on_policy import LearnedFrom, OnPolicy

if TYPE_CHECKING:
    from workflow_src.agents.rollout import Rollout

OPTIONS = {"horizon": 5, "per_actor": True}
VARIANTS = ["double", "dueling"]


@learner("n-step-q")
class NStepQ(OnPolicy, DQN):
    """Learns values from rollouts."""

    def learn_from(self, rollout: Rollout, share: float, rng: np.random.Generator) -> LearnedFrom:
        """Update the network once."""
        self.anneal(share)
        values = self.rollout_values(self.network, rollout)  # (T + 1, n, actions)
        chosen = values[:-1].gather(2, rollout.action[:, :, None]).squeeze(2)
        with torch.no_grad():
            goal = self.goals(rollout, values.detach())
        loss, _ = self.error(chosen.reshape(-1, 1, 1), goal.reshape(-1, 1, 1))
        total = (loss[:, 0] * rollout.weight.flatten()).sum()
        if self.row.optimizer.reduction == "mean":
            total = total / loss.shape[0]
        self.move(total)
        return LearnedFrom(loss.detach().mean(), values.detach().amax(2).mean())

    def rollout_values(self, network: Any, rollout: Rollout) -> torch.Tensor:
        """The network's values of all states: (T + 1, n, actions)."""
        seen = rollout.observation
        return self.expected(network(seen.flatten(0, 1)))[:, 0].unflatten(0, seen.shape[:2])

    def goals(self, rollout: Rollout, values: torch.Tensor) -> torch.Tensor:
        """The returns (T, n); ``values``: the network's own (T + 1, n, actions)."""
        last = rollout.observation[-1]
        following = self.target(last)
        back = pick(following, self.best(last, following))[:, 0, 0]
        own = values.amax(2)
        found = []
        for t in reversed(range(len(rollout.reward))):
            back = rollout.reward[t] + self.row.gamma * rollout.goes_on[t] * back
            # What came after a game that was cut off is not known.
            back = torch.where(rollout.weight[t] > 0, back, own[t])
            found.append(back)
        return torch.stack(found[::-1])
