"""Returns of several steps (Sutton 1988; in Rainbow, arXiv 1710.02298), without correction."""

from workflow_src.agents.learner import variant
from workflow_src.agents.learners.dqn import DQN

OPTIONS = {"n": 3}
# Munchausen adds to the reward of one action.
EXCLUDES = ["munchausen"]


@variant("n-step")
class NStep(DQN):
    """Asks the memory for the sum of ``n`` rewards, and for the state after them."""

    @property
    def n_step(self) -> int:  # type: ignore[override]
        """Steps of a return."""
        return self.row.variant_options("n-step")["n"]
