"""Bootstrapped DQN (arXiv 1602.04621): heads on one body that explore by disagreeing.

A head that is drawn for each episode plays. Each transition has a mask that says which heads learn
from it, each from its own goal; the gradient that enters the body is divided by their number. In
evaluations the heads vote.
"""

import numpy as np
import torch
import torch.nn.functional as F

from workflow_src.agents.base import Actor
from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN

OPTIONS = {"heads": 10, "mask_probability": 0.5}
# An agent with an LSTM carries one state; ten heads that take turns would each need its own.
EXCLUDES = ["prioritised", "recurrent"]


@variant("bootstrapped")
class Bootstrapped(DQN):
    """Has several heads."""

    @property
    def heads(self) -> int:  # type: ignore[override]
        """How many."""
        return self.row.variant_options("bootstrapped")["heads"]

    @property
    def trunk_scale(self) -> float:
        """All heads send their gradients into the body."""
        return super().trunk_scale / self.heads

    def draw_masks(self, n: int, rng: np.random.Generator) -> np.ndarray | None:
        """Each head learns from each transition with the same chance."""
        chance = self.row.variant_options("bootstrapped")["mask_probability"]
        return rng.random((n, self.heads)) < chance

    def actor(self, n: int, evaluation: bool) -> Actor:
        """An actor whose heads take turns, or vote."""
        return HeadActor(self, n, evaluation)


class HeadActor(Actor):
    """Plays by one head an episode; in evaluations by the action that most heads prefer."""

    def __init__(self, of: DQN, n: int, evaluation: bool):
        super().__init__(of, n, evaluation)
        self._head = np.zeros(n, np.int64)

    def choose(
        self, values: torch.Tensor, first: np.ndarray, rng: np.random.Generator
    ) -> torch.Tensor:
        """The values of the head that plays, or the votes of all (n, actions)."""
        if self.evaluation:
            return F.one_hot(values.argmax(2), values.shape[2]).sum(1)
        drawn = rng.integers(values.shape[1], size=self.n)
        self._head = np.where(first, drawn, self._head)
        return values[torch.arange(self.n), torch.from_numpy(self._head).to(values.device)]
