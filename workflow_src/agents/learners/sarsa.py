"""One-step Sarsa (arXiv 1602.01783), its actors in lockstep: ``r + gamma T(s', a')``.

``a'`` is the action that is really played next. Kaixhin/Atari draws one for the goal, by the target
network, and another one to play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from workflow_src.agents.learner import learner
from workflow_src.agents.learners.one_step_q import OneStepQ

if TYPE_CHECKING:
    from workflow_src.agents.rollout import Rollout

OPTIONS = {"horizon": 5, "per_actor": True}
VARIANTS = ["dueling", "recurrent"]


@learner("sarsa")
class Sarsa(OneStepQ):
    """Learns the values of the policy that plays."""

    looks_ahead = True

    def future(self, rollout: Rollout, following: torch.Tensor) -> torch.Tensor:
        """The target's values of the actions that follow: (T, n)."""
        assert rollout.next_action is not None
        action = torch.cat([rollout.action[1:], rollout.next_action[None]])
        return following.gather(2, action[:, :, None]).squeeze(2)
