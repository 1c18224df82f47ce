"""What all learners have in common: a network, its optimizer, and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workflow_src import encoders, graphs
from workflow_src.agents import optimizers
from workflow_src.agents.network import set_precision

if TYPE_CHECKING:
    from workflow_src.config.agents import Agent


class Learner:
    """A network and its optimizer; `make_network` says which."""

    replays = True  # from a memory, or from what its actors just played

    def __init__(
        self,
        row: Agent,
        actions: int,
        frame_shape: tuple[int, ...],
        generator: torch.Generator,
        device: torch.device,
    ):
        """``actions``: how many; ``frame_shape``: of a single frame of an observation."""
        self.row, self.actions, self.frame_shape, self.device = row, actions, frame_shape, device
        self.network = self.make_network(generator).to(device)
        set_precision(self.network, row.precision)
        encoders.channels_last(self.network)
        self.optimizer = optimizers.build(row.optimizer, self.network.parameters())

    def make_network(self, generator: torch.Generator) -> nn.Module:
        """Observations ``(B, k, *shape)`` -> what the learner needs."""
        raise NotImplementedError

    def move(self, loss: torch.Tensor) -> None:
        """Change the weights by the gradient of a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.row.optimizer.max_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.row.optimizer.max_norm)
        self.optimizer.step()

    def preferences(self, observation: torch.Tensor) -> torch.Tensor:
        """What an `Actor` chooses by: (B, heads, actions)."""
        raise NotImplementedError

    def action_values(self, observation: torch.Tensor) -> torch.Tensor:
        """The values of the actions, the mean of all heads', or a policy's logits: (B, actions)."""
        return self.preferences(observation).mean(1)

    def actor(self, n: int, evaluation: bool) -> Actor:
        """An actor in ``n`` environments."""
        return Actor(self, n, evaluation)

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of the network, by name."""
        return self.network.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """All that learning changes."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


class Actor:
    """Gives the action values by which an agent plays."""

    recurrent = False  # whether it has to see every frame
    samples = True  # whether a policy's actions are drawn, or the likeliest is taken

    def __init__(self, of: Learner, n: int, evaluation: bool):
        self.learner, self.n, self.evaluation = of, n, evaluation
        self._preferences = graphs.Recorded(of.preferences, of.device, of.row.cuda_graphs)

    @torch.no_grad()
    def values(
        self, observation: np.ndarray, first: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Values (n, actions) of observations ``(n, k, *shape)``; ``first``: of an episode (n,)."""
        seen = torch.from_numpy(observation).to(self.learner.device)
        return self.choose(self._preferences(seen), first, rng).cpu().numpy()

    def choose(
        self, values: torch.Tensor, first: np.ndarray, rng: np.random.Generator
    ) -> torch.Tensor:
        """The values (n, actions) that count, of those of all heads (n, heads, actions)."""
        return values[:, 0]

    def noted(self) -> dict[str, torch.Tensor]:
        """What learning wants to know of the step for which values were asked last."""
        return {}

    def state(self) -> Any:
        """A copy of what it remembers of the episodes; None without a memory."""
        return None
