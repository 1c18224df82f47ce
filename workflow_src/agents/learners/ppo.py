"""Proximal policy optimisation (arXiv 1707.06347), as in CleanRL's ppo_atari and in OpenAI's.

Advantages by GAE; several epochs of minibatches over a rollout, with the ratio of probabilities
and the change of the value clipped, and advantages normalised in each minibatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from workflow_src.agents.learner import learner
from workflow_src.agents.learners.a3c import A3C, entropy, mean
from workflow_src.agents.on_policy import LearnedFrom

if TYPE_CHECKING:
    from workflow_src.agents.rollout import Rollout

OPTIONS = {
    "horizon": 128,
    "epochs": 4,
    "minibatches": 4,
    "clip": 0.1,
    "clip_value": True,
    "gae": 0.95,
    "entropy": 0.01,
    "value": 0.5,
    "orthogonal": True,
}
VARIANTS: list[str] = []
IGNORES = ["epsilon", "target_every", "delta_clip", "optimizer.reduction"]


@learner("ppo")
class PPO(A3C):
    """Learns several times from each rollout."""

    def learn_from(self, rollout: Rollout, share: float, rng: np.random.Generator) -> LearnedFrom:
        """Update the network ``epochs`` x ``minibatches`` times."""
        self.anneal(share)
        options = self.options
        value = rollout.noted["value"]
        with torch.no_grad():
            last = self.network(rollout.observation[-1])[1]
        advantage = self.advantages(rollout, torch.cat([value, last[None]]))
        logs = rollout.noted["logits"].log_softmax(2)
        chosen = logs.gather(2, rollout.action[:, :, None]).squeeze(2)
        # One after another in one axis, as the batches index them.
        flat = [
            one.flatten(0, 1)
            for one in (
                rollout.observation[:-1],
                rollout.action,
                chosen,
                advantage,
                advantage + value,
                value,
                rollout.weight,
            )
        ]
        number = flat[1].shape[0]
        losses = []
        for _ in range(options["epochs"]):
            order = torch.from_numpy(rng.permutation(number)).to(self.device)
            for rows in order.split(-(-number // options["minibatches"])):
                loss = self.loss(*(one[rows] for one in flat))
                self.move(loss)
                losses.append(loss.detach())
        return LearnedFrom(torch.stack(losses).mean(), value.mean())

    def advantages(self, rollout: Rollout, value: torch.Tensor) -> torch.Tensor:
        """GAE (T, n) of the values (T + 1, n)."""
        gamma, goes_on = self.row.gamma, rollout.goes_on
        delta = rollout.reward + gamma * value[1:] * goes_on - value[:-1]
        back, found = torch.zeros_like(delta[0]), []
        for t in reversed(range(len(delta))):
            back = delta[t] + gamma * self.options["gae"] * goes_on[t] * back
            # What came after a game that was cut off is not known.
            back = back * rollout.weight[t]
            found.append(back)
        return torch.stack(found[::-1])

    def loss(
        self,
        observation: torch.Tensor,
        action: torch.Tensor,
        before: torch.Tensor,
        advantage: torch.Tensor,
        goal: torch.Tensor,
        value_before: torch.Tensor,
        weight: torch.Tensor,
    ) -> torch.Tensor:
        """Of a minibatch; ``before``: log-probabilities when it was played, all (B,)."""
        options = self.options
        logits, value = self.network(observation)
        logs = logits.log_softmax(1)
        ratio = (logs.gather(1, action[:, None]).squeeze(1) - before).exp()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clip = options["clip"]
        policy = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip))
        error = (value - goal).square()
        if options["clip_value"]:
            near = value_before + (value - value_before).clamp(-clip, clip)
            error = torch.maximum(error, (near - goal).square())
        each = policy - options["entropy"] * entropy(logs) + options["value"] * 0.5 * error
        return mean(each, weight)
