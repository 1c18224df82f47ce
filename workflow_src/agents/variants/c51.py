"""C51 (arXiv 1707.06887): a distribution of returns over fixed atoms for each action.

The goal is the distribution of ``r + gamma z``, projected onto the atoms: the mass of a value
between two atoms is shared by them, and a value on an atom leaves all of it there. The loss is the
cross entropy, which is the error for priorities too (as in Rainbow).
"""

import torch

from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN

OPTIONS = {"atoms": 51, "vmax": 10.0}
# Two distributions cannot be learned at once; the others are of values.
EXCLUDES = ["quantile", "munchausen", "persistent-advantage"]


@variant("c51")
class C51(DQN):
    """Learns distributions; an action's value is their mean."""

    @property
    def units(self) -> int:  # type: ignore[override]
        """Atoms."""
        return self.row.variant_options("c51")["atoms"]

    def support(self) -> torch.Tensor:
        """The returns of the atoms, from -vmax to vmax: (units,)."""
        vmax = self.row.variant_options("c51")["vmax"]
        return torch.linspace(-vmax, vmax, self.units, device=self.device)

    def expected(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of the distribution with logits (..., units)."""
        return values.softmax(-1) @ self.support()

    def discounted(
        self, reward: torch.Tensor, discount: torch.Tensor, future: torch.Tensor
    ) -> torch.Tensor:
        """The projected distribution of reward and future (B, heads, units)."""
        support = self.support()
        step = (support[-1] - support[0]) / (self.units - 1)
        returns = (reward + discount * support).clamp(support[0], support[-1])
        at = (returns - support[0]) / step  # (B, 1, units), in atoms
        # Each atom takes what lies within one step of it, the more the nearer: on an atom, all.
        atoms = torch.arange(self.units, device=self.device)
        share = (1 - (at[..., None] - atoms).abs()).clamp(min=0)  # (B, 1, from, to)
        return (future.softmax(2)[:, :, None] @ share).squeeze(2)

    def error(self, chosen: torch.Tensor, goal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The cross entropy (B, heads), twice."""
        loss = -(goal * chosen.log_softmax(2)).sum(2)
        return loss, loss.detach()
