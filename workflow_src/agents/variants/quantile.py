"""QR-DQN (arXiv 1710.10044): quantiles of the return for each action."""

import torch

from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN

OPTIONS = {"quantiles": 201, "kappa": 1.0}
# See c51.
EXCLUDES = ["c51", "munchausen", "persistent-advantage"]


@variant("quantile")
class Quantile(DQN):
    """Learns quantiles; an action's value is their mean."""

    @property
    def units(self) -> int:  # type: ignore[override]
        """Quantiles."""
        return self.row.variant_options("quantile")["quantiles"]

    def expected(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of the quantiles (..., units)."""
        return values.mean(-1)

    def error(self, chosen: torch.Tensor, goal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The quantile Huber loss (B, heads), and the error of the means.

        Summed over the quantiles that learn, averaged over those of the goal.
        """
        kappa = self.row.variant_options("quantile")["kappa"]
        midpoints = (torch.arange(self.units, device=self.device) + 0.5) / self.units
        apart = goal[:, :, None] - chosen[..., None]  # (B, heads, learns, goal)
        size = apart.abs()
        huber = torch.where(size <= kappa, apart.square() / 2, kappa * (size - kappa / 2)) / kappa
        tilt = (midpoints[:, None] - (apart.detach() < 0).float()).abs()
        loss = (tilt * huber).mean(3).sum(2)
        return loss, (goal.mean(2) - chosen.detach().mean(2)).abs()
