"""Dueling networks (arXiv 1511.06581): the value of a state apart from the actions' advantages.

``Q = V + A - mean A``. Both streams have a hidden layer of their own, and the gradient that enters
the body is multiplied by 1 / sqrt(2).
"""

import math

import torch
from torch import nn

from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN
from workflow_src.agents.network import Heads


class DuelingHeads(nn.Module):
    """Features (B, d) -> values (B, heads, actions, units)."""

    def __init__(self, advantage: Heads, value: Heads):
        super().__init__()
        self.advantage, self.value = advantage, value

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Value and advantages together."""
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(2, keepdim=True)


@variant("dueling")
class Dueling(DQN):
    """Has two streams in the place of one."""

    def make_heads(self, features: int, generator: torch.Generator) -> nn.Module:
        """A stream for the advantages, and one for the value."""
        advantage, value = (
            Heads(features, self.head_hidden, self.heads, actions, self.units, generator)
            for actions in (self.actions, 1)
        )
        return DuelingHeads(advantage, value)

    @property
    def trunk_scale(self) -> float:
        """Two streams send their gradients into the body."""
        return super().trunk_scale / math.sqrt(2)
