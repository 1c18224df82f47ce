"""Prioritised replay (arXiv 1511.05952): transitions with large errors are drawn more often.

``rank``: the chance is 1 / rank^alpha; ``proportional``: ``|error|^alpha``. Importance weights with
an exponent that grows from ``beta`` to 1 undo the bias; see `agents.priorities`.
"""

from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN

OPTIONS = {"kind": "rank", "alpha": 0.7, "beta": 0.5}  # proportional: 0.6 and 0.4 in the paper
CHOICES = {"kind": ["rank", "proportional"]}
# The heads' errors differ, and so would their priorities: not defined by either paper.
EXCLUDES = ["bootstrapped"]


@variant("prioritised")
class Prioritised(DQN):
    """Has the memory draw by priority."""

    prioritised = True

    def beta(self, share: float) -> float | None:
        """The exponent of the importance weights: linear, 1 at the end."""
        start = self.row.variant_options("prioritised")["beta"]
        return start + (1 - start) * min(max(share, 0.0), 1.0)
