"""Double Q-learning (arXiv 1509.06461): the network chooses the action, the target judges it."""

import torch

from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN

# Munchausen has no best action: its future is the mean over a soft policy.
EXCLUDES = ["munchausen"]


@variant("double")
class Double(DQN):
    """Chooses the next action by the network that learns."""

    def best(self, observation: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        """The best action of the network, not of its target: (B, heads)."""
        return self.expected(self.network(observation)).argmax(2)
