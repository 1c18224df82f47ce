"""Advantage actor-critic (arXiv 1602.01783), its actors in lockstep: A2C.

``-(R - V) log pi(a) - entropy H(pi) + value (R - V)^2``, with the n-step return ``R`` back from the
value of the state in which the rollout ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from workflow_src.agents.base import Actor, Learner
from workflow_src.agents.learner import learner
from workflow_src.agents.network import PolicyNetwork, build_body
from workflow_src.agents.on_policy import LearnedFrom, OnPolicy

if TYPE_CHECKING:
    from workflow_src.agents.rollout import Rollout

OPTIONS = {"horizon": 5, "entropy": 0.01, "value": 0.5, "orthogonal": False}
VARIANTS: list[str] = []
IGNORES = ["epsilon", "target_every", "delta_clip", "optimizer.reduction"]


@learner("a3c")
class A3C(OnPolicy):
    """A policy and the value of states, on one body."""

    explores = False

    def make_network(self, generator: torch.Generator) -> nn.Module:
        """Observations ``(B, k, *shape)`` -> logits of the actions, and values."""
        row = self.row
        trunk, features = build_body(row, row.history, self.frame_shape, generator)
        network = PolicyNetwork(trunk, features, row.hidden, self.actions, generator)
        if self.options["orthogonal"]:
            network.make_orthogonal(generator)
        return network

    def preferences(self, observation: torch.Tensor) -> torch.Tensor:
        """The logits of the actions, and the value: (B, actions + 1)."""
        logits, value = self.network(observation)
        return torch.cat([logits, value[:, None]], 1)

    def action_values(self, observation: torch.Tensor) -> torch.Tensor:
        """The logits."""
        return self.network(observation)[0]

    def actor(self, n: int, evaluation: bool) -> Actor:
        """An actor that draws from the policy."""
        return PolicyActor(self, n, evaluation)

    def learn_from(self, rollout: Rollout, share: float, rng: np.random.Generator) -> LearnedFrom:
        """Update the network once."""
        self.anneal(share)
        seen = rollout.observation
        logits, value = (
            found.unflatten(0, seen.shape[:2]) for found in self.network(seen.flatten(0, 1))
        )
        goal = self.returns(rollout, value.detach())
        logs = logits[:-1].log_softmax(2)
        chosen = logs.gather(2, rollout.action[:, :, None]).squeeze(2)
        error = goal - value[:-1]
        each = -error.detach() * chosen - self.options["entropy"] * entropy(logs)
        each = each + self.options["value"] * error.square()
        loss = mean(each, rollout.weight)
        self.move(loss)
        return LearnedFrom(loss.detach(), value.detach().mean())

    def returns(self, rollout: Rollout, value: torch.Tensor) -> torch.Tensor:
        """Discounted sums of rewards (T, n), back from the last of the values (T + 1, n)."""
        back, found = value[-1], []
        for t in reversed(range(len(rollout.reward))):
            back = rollout.reward[t] + self.row.gamma * rollout.goes_on[t] * back
            # What came after a game that was cut off is not known.
            back = torch.where(rollout.weight[t] > 0, back, value[t])
            found.append(back)
        return torch.stack(found[::-1])


class PolicyActor(Actor):
    """Draws actions from the policy, in evaluations too."""

    def __init__(self, of: Learner, n: int, evaluation: bool):
        super().__init__(of, n, evaluation)
        self._noted: dict[str, torch.Tensor] = {}

    def choose(
        self, values: torch.Tensor, first: np.ndarray, rng: np.random.Generator
    ) -> torch.Tensor:
        """Logits with Gumbel noise, of which the largest is a draw from the policy."""
        # Copies: a recorded network writes to the same place again.
        self._noted = {"logits": values[:, :-1].clone(), "value": values[:, -1].clone()}
        if not self.samples:
            return values[:, :-1]
        noise = rng.gumbel(size=(self.n, values.shape[1] - 1)).astype(np.float32)
        return values[:, :-1].cpu() + torch.from_numpy(noise)

    def noted(self) -> dict[str, torch.Tensor]:
        """Logits (n, actions) and value (n,) of the step before."""
        return self._noted


def entropy(logs: torch.Tensor) -> torch.Tensor:
    """Of log-probabilities (..., actions): (...)."""
    return -(logs.exp() * logs).sum(-1)


def mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The mean of those that count."""
    return (values * weight).sum() / weight.sum().clamp(min=1)
