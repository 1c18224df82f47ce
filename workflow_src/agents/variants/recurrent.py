"""DRQN (arXiv 1507.06527): an LSTM in the place of the first linear layer.

Observations are single frames. In learning, the frames of an observation are the steps of a
sequence from a state of zeros, and the loss is of the last one. In acting, the state is carried
through the episode; it is the actor's own, so that learning does not touch it.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from workflow_src.agents.base import Actor
from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN
from workflow_src.agents.network import build_body, scale_gradient
from workflow_src.agents.rollout import Rollout

EXCLUDES = ["bootstrapped"]


class RecurrentNetwork(nn.Module):
    """Observations ``(B, k, *shape)``, k steps of one frame each -> values of the last one."""

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        hidden: int,
        heads: nn.Module,
        scale: float,
        generator: torch.Generator,
    ):
        super().__init__()
        self.body, self.heads, self._scale = trunk, heads, scale
        with torch.random.fork_rng(devices=[]):  # what it draws is not kept
            self.lstm = nn.LSTM(features, hidden, batch_first=True)
        for name, parameter in self.lstm.named_parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5, generator=generator)
            if name == "bias_ih_l0":  # of the gates: input, forget, cell, output
                nn.init.ones_(parameter[hidden : 2 * hidden])

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """The values after the last frame, from a state of zeros."""
        return self.step(observation, None)[0]

    def step(
        self, observation: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The values after the last frame, and the state that the LSTM is then in."""
        features = self.body(observation.flatten(0, 1)[:, None])
        if self._scale != 1.0 and features.requires_grad:
            features = scale_gradient(features, self._scale)
        found, state = self.lstm(features.unflatten(0, observation.shape[:2]), state)
        return self.heads(found[:, -1]), state


@variant("recurrent")
class Recurrent(DQN):
    """Has a memory of its own."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.target.lstm.flatten_parameters()  # type: ignore[operator, union-attr]

    @property
    def head_hidden(self) -> int | None:
        """The LSTM takes the place of the hidden layer."""
        return None

    def make_network(self, generator: torch.Generator) -> nn.Module:
        """Body, LSTM and heads."""
        trunk, features = build_body(self.row, 1, self.frame_shape, generator)
        heads = self.make_heads(self.row.hidden, generator)
        hidden, scale = self.row.hidden, self.trunk_scale
        return RecurrentNetwork(trunk, features, hidden, heads, scale, generator)

    def rollout_values(self, network: Any, rollout: Rollout) -> torch.Tensor:
        """Of steps that were just played, from the state that the actors were in."""
        state, found = rollout.state, []
        for observation, first in zip(rollout.observation, rollout.first, strict=True):
            goes_on = ~first[None, :, None]
            state = (state[0] * goes_on, state[1] * goes_on)
            values, state = network.step(observation[:, -1:], state)
            found.append(self.expected(values)[:, 0])
        return torch.stack(found)

    def actor(self, n: int, evaluation: bool) -> Actor:
        """An actor that carries its state through the episode."""
        return RecurrentActor(self, n, evaluation)


class RecurrentActor(Actor):
    """Sees the newest frame only, and remembers those before."""

    recurrent = True
    learner: DQN

    def __init__(self, of: DQN, n: int, evaluation: bool):
        super().__init__(of, n, evaluation)
        self._state = (torch.zeros(1, n, of.row.hidden, device=of.device),) * 2

    def state(self) -> tuple[torch.Tensor, ...]:
        """A copy of the LSTM's state."""
        return tuple(one.clone() for one in self._state)

    @torch.no_grad()
    def values(
        self, observation: np.ndarray, first: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Values (n, actions); the state begins at zero with the first frame of an episode."""
        goes_on = torch.from_numpy(~first).to(self.learner.device)[None, :, None]
        state = (self._state[0] * goes_on, self._state[1] * goes_on)
        seen = torch.from_numpy(observation[:, -1:]).to(self.learner.device)
        found, self._state = self.learner.network.step(seen, state)  # type: ignore[operator]
        return self.choose(self.learner.expected(found), first, rng).cpu().numpy()
