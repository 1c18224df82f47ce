"""Munchausen DQN (arXiv 2007.14430): the log-probability of the action is added to its reward.

All with the target network, and ``pi = softmax(T / tau)``:
``r + alpha clip(tau log pi(a|s), -clip, 0) + gamma sum_b pi(b|s') (T(s', b) - tau log pi(b|s'))``.
"""

import torch

from workflow_src.agents.batch import Batch
from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN, pick

OPTIONS = {"alpha": 0.9, "tau": 0.03, "clip": 1.0}
# The soft policy is of values, not of distributions; the others have their reasons there.
EXCLUDES = ["c51", "quantile", "persistent-advantage", "double", "n-step"]


@variant("munchausen")
class Munchausen(DQN):
    """Learns the values of a soft policy, with a bonus."""

    def goal(self, batch: Batch) -> torch.Tensor:
        """The goal of the soft policy: (B, heads, 1)."""
        options = self.row.variant_options("munchausen")
        tau = options["tau"]
        bonus = pick(_log_policy(self.target(batch.observation), tau), batch.action[:, None])
        bonus = bonus.clamp(-options["clip"], 0.0)
        following = self.target(batch.next_observation)
        logs = _log_policy(following, tau)
        future = ((logs / tau).exp() * (following - logs)).sum(2)
        reward = batch.reward[:, None, None] + options["alpha"] * bonus
        return self.discounted(reward, batch.discount[:, None, None], future)


def _log_policy(values: torch.Tensor, tau: float) -> torch.Tensor:
    """``tau log softmax(values / tau)`` over the actions."""
    return tau * (values / tau).log_softmax(2)
