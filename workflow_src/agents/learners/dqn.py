"""DQN (Mnih et al. 2015), complete; the files of `agents.variants` are differences to it.

``r + gamma^n max_a T(s', a)`` is the goal of ``Q(s, a)``, with ``T`` a copy of the network that is
renewed from time to time. Values have the shape (B, heads, actions, units): one head and one unit,
unless a variant has more.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workflow_src import graphs
from workflow_src.agents.base import Learner
from workflow_src.agents.learner import learner
from workflow_src.agents.network import Heads, Network, build_body

if TYPE_CHECKING:
    from workflow_src.agents.batch import Batch
    from workflow_src.config.agents import Agent


@dataclass(frozen=True)
class Learned:
    """What an update tells, on the device: the mean loss, and the errors (B,) for priorities."""

    loss: torch.Tensor
    delta: torch.Tensor


@learner("dqn")
class DQN(Learner):
    """A network, its target and their optimizer."""

    heads = 1  # estimates that learn side by side
    units = 1  # numbers that stand for an action's value
    n_step = 1
    prioritised = False

    def __init__(
        self,
        row: Agent,
        actions: int,
        frame_shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
    ):
        """``actions``: how many; ``frame_shape``: of a single frame of an observation."""
        super().__init__(row, actions, frame_shape, generator, device)
        self.target = copy.deepcopy(self.network).requires_grad_(False)

    # The network

    def make_network(self, generator: torch.Generator) -> nn.Module:
        """Observations ``(B, k, *shape)`` -> values (B, heads, actions, units)."""
        trunk, features = build_body(self.row, self.row.history, self.frame_shape, generator)
        return Network(trunk, self.make_heads(features, generator), self.trunk_scale)

    def make_heads(self, features: int, generator: torch.Generator) -> nn.Module:
        """Features (B, d) -> values."""
        hidden, shape = self.head_hidden, (self.heads, self.actions, self.units)
        return Heads(features, hidden, *shape, generator)

    @property
    def head_hidden(self) -> int | None:
        """Units of each head's hidden layer."""
        return self.row.hidden

    @property
    def trunk_scale(self) -> float:
        """The factor of the gradient where it enters the body."""
        return 1.0

    def expected(self, values: torch.Tensor) -> torch.Tensor:
        """Values (..., units) -> what is expected of each action (...)."""
        return values.squeeze(-1)

    # Learning

    def learn(self, batch: Batch) -> Learned:
        """Update the network once."""
        losses, delta = self.losses(batch)
        if batch.mask is not None:
            losses = losses * batch.mask
        each = losses.sum(1)
        total = (each * batch.weight).sum()
        if self.row.optimizer.reduction == "mean":
            total = total / len(each)
        self.move(total)
        return Learned(each.detach().mean(), delta.mean(1))

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss and the absolute error of each transition and head: (B, heads) both."""
        with graphs.fork(self.device) as join, torch.no_grad():
            goal = self.goal(batch)
        chosen = pick(self.network(batch.observation), batch.action[:, None])
        join()
        return self.error(chosen, goal)

    def goal(self, batch: Batch) -> torch.Tensor:
        """What the values of the actions that were taken should be: (B, heads, units)."""
        return self.goal_from(batch, self.target(batch.next_observation))

    def goal_from(self, batch: Batch, following: torch.Tensor) -> torch.Tensor:
        """The goal, given the target's values of the next states (B, heads, actions, units)."""
        future = pick(following, self.best(batch.next_observation, following))
        return self.discounted(batch.reward[:, None, None], batch.discount[:, None, None], future)

    def best(self, observation: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        """The action of the next state ``observation`` whose value counts: (B, heads)."""
        return self.expected(following).argmax(2)

    def discounted(
        self, reward: torch.Tensor, discount: torch.Tensor, future: torch.Tensor
    ) -> torch.Tensor:
        """Reward and future together; both (B, 1, 1), ``future`` (B, heads, units)."""
        return reward + discount * future

    def error(self, chosen: torch.Tensor, goal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and absolute error (B, heads) of values and goals (B, heads, units).

        With ``delta_clip`` the error is clipped, and so is the loss's gradient, as in Mnih et al.
        """
        delta = (goal - chosen).squeeze(2)
        clip = self.row.delta_clip
        if clip is None:
            return delta.square(), delta.detach().abs()
        size = delta.abs()
        loss = torch.where(size <= clip, delta.square() / 2, clip * (size - clip / 2))
        return loss, size.detach().clamp(max=clip)

    def sync(self) -> None:
        """Copy the network to its target."""
        self.target.load_state_dict(self.network.state_dict())

    @torch.no_grad()
    def diagnose(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean value of the best action, and the mean absolute error."""
        value = self.expected(self.network(batch.observation)).amax(2).mean()
        return value, self.losses(batch)[1].mean()

    # Acting

    def preferences(self, observation: torch.Tensor) -> torch.Tensor:
        """The expected values of the actions: (B, heads, actions)."""
        return self.expected(self.network(observation))

    # What the memory has to do for this learner

    def beta(self, share: float) -> float | None:
        """The exponent of importance sampling after a share of the training; None without."""
        return None

    def draw_masks(self, n: int, rng: np.random.Generator) -> np.ndarray | None:
        """Which heads learn from each of ``n`` transitions: bool (n, heads); None: all."""
        return None

    # Files

    def state_dict(self) -> dict[str, Any]:
        """All that learning changes."""
        return super().state_dict() | {"target": self.target.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self.target.load_state_dict(state["target"])


def pick(values: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Values (B, heads, actions, units) of one action each, (B, heads) or (B, 1)."""
    # Not `gather`, whose gradient sorts on CUDA where kernels have to be deterministic.
    is_chosen = action[..., None] == torch.arange(values.shape[2], device=values.device)
    return torch.where(is_chosen[..., None], values, 0).sum(2)
