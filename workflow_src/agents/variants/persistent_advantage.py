"""Persistent advantage learning (arXiv 1512.04860): the gap between actions is widened.

``delta - alpha min(gap(s, a), gap(s', a))`` is learned instead of ``delta``, with
``gap(s, a) = max_b T(s, b) - T(s, a)``, which is 0 after the end of an episode.
"""

import torch

from workflow_src.agents.batch import Batch
from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN, pick

OPTIONS = {"alpha": 0.9}
# Gaps are of values, not of distributions, and Munchausen widens the gap in its own way.
EXCLUDES = ["c51", "quantile", "munchausen"]


@variant("persistent-advantage")
class PersistentAdvantage(DQN):
    """Lowers the goal of actions that are not the best."""

    def goal_from(self, batch: Batch, following: torch.Tensor) -> torch.Tensor:
        """The goal, less the smaller of both gaps: (B, heads, 1)."""
        goes_on = (batch.discount > 0)[:, None, None]
        now, then = (
            values.amax(2) - pick(values, batch.action[:, None])
            for values in (self.target(batch.observation), following)
        )
        alpha = self.row.variant_options("persistent-advantage")["alpha"]
        return super().goal_from(batch, following) - alpha * torch.minimum(now, then * goes_on)
