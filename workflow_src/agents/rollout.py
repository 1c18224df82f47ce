"""Learning from what was just played: actors in lockstep, some steps each, then an update.

Kaixhin/Atari's asynchronous agents have a thread an actor, which change shared weights without a
lock, in an order that no seed decides. Here all actors play with the same weights and are learned
from together, as in A2C, so that equal seeds give equal bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workflow_src.agents import play
from workflow_src.agents.loop import Loop, Room
from workflow_src.emulator.environment import CONTINUES, TRUNCATED

if TYPE_CHECKING:
    from workflow_src.agents.base import Actor
    from workflow_src.agents.on_policy import OnPolicy


@dataclass(frozen=True)
class Rollout:
    """``T`` steps of ``n`` actors, as tensors on the device.

    A step that cuts a game off has no known successor: its ``weight`` is 0, and like the end of an
    episode it lets nothing pass back over it.
    """

    observation: torch.Tensor  # (T + 1, n, k, *shape): the last one is where the next steps begin
    first: torch.Tensor  # bool (T + 1, n): the episode begins with the newest frame
    action: torch.Tensor  # int64 (T, n)
    reward: torch.Tensor  # float32 (T, n), clipped
    goes_on: torch.Tensor  # float32 (T, n): 0 where an episode ended, else 1
    weight: torch.Tensor  # float32 (T, n)
    noted: dict[str, torch.Tensor]  # (T, n, ...): what the actor noted of each step
    next_action: torch.Tensor | None  # int64 (n,): played next, if that is known
    state: Any  # what the actor remembered at the beginning, see `Actor.state`


class Rollouts(Loop):
    """The loop of learners that learn from what their actors do now."""

    def __init__(self, room: Room, learner: OnPolicy):
        self._room, self._learner = room, learner
        row, vector = room.row, room.vector
        self._steps = learner.horizon
        shape = (self._steps + 1, row.num_envs, row.history, *vector.frame_shape)
        dtype = torch.from_numpy(np.zeros(0, vector.dtype)).dtype
        self._observation = torch.empty(shape, dtype=dtype, device=room.device)
        self._ends = learner.draw_exploration(row.num_envs, room.rng(0, "exploration"))
        self._ahead: tuple[np.ndarray, Any] | None = None  # the next actions, the state before them
        self._value = math.nan

    def learn(self, epoch: int) -> dict[str, Any]:
        """Play and learn for an epoch; its row of the history."""
        room, learner = self._room, self._learner
        row = room.row
        explore, draws = room.rng(epoch, "act"), room.rng(epoch, "minibatches")
        steps = room.begin(epoch)
        actor = learner.actor(row.num_envs, evaluation=False)
        self._ahead = None
        scores: list[float] = []
        sums = torch.zeros(2, device=room.device)
        every = self._steps * row.num_envs
        updates = 0
        for begin in range(steps.start, steps.stop, every):
            rollout = self._play(actor, begin, explore, scores)
            learned = learner.learn_from(rollout, begin / row.steps, draws)
            sums += torch.stack([learned.loss, learned.value])
            updates += 1
            # Whether a multiple lies within these steps.
            if begin // row.target_every != (begin + every) // row.target_every:
                learner.sync()
            room.line.at(begin + every)
        self._value = float(sums[1]) / updates
        epsilon = float(np.mean(self._epsilon(steps.stop)))
        return room.summary(epoch, scores, epsilon, updates, sums[0])

    def _epsilon(self, step: int) -> np.ndarray:
        """The chance of a random action of each actor."""
        if not self._learner.explores:
            return np.zeros(len(self._ends))
        epsilon = self._room.row.epsilon
        return epsilon.start + (self._ends - epsilon.start) * min(step / epsilon.steps, 1.0)

    def _choose(self, actor: Actor, step: int, rng: np.random.Generator) -> np.ndarray:
        return play.choose(actor, self._room.vector, self._epsilon(step), rng)

    def _play(
        self, actor: Actor, begin: int, rng: np.random.Generator, scores: list[float]
    ) -> Rollout:
        """Play the steps of a rollout; adds the scores of the games that ended."""
        vector, row, n = self._room.vector, self._room.row, self._room.row.num_envs
        firsts = np.zeros((self._steps + 1, n), bool)
        actions = np.zeros((self._steps, n), np.int64)
        rewards = np.zeros((self._steps, n), np.float32)
        ends = np.zeros((self._steps, n), np.uint8)
        noted: list[dict[str, torch.Tensor]] = []
        state = actor.state()
        for t in range(self._steps):
            step = begin + t * n
            if self._ahead is not None:
                (actions[t], state), self._ahead = self._ahead, None
            else:
                actions[t] = self._choose(actor, step, rng)
            noted.append(actor.noted())
            self._look(t, firsts)
            vector.step(actions[t])
            rewards[t], ends[t] = vector.reward, vector.end
            scores += [score for _, score, _, _ in vector.finished]
        self._look(self._steps, firsts)
        if self._learner.looks_ahead:
            before = actor.state()
            self._ahead = self._choose(actor, begin + self._steps * n, rng), before
        if row.reward_clip is not None:
            rewards = np.clip(rewards, -row.reward_clip, row.reward_clip)
        return Rollout(
            observation=self._observation,
            first=self._tensor(firsts),
            action=self._tensor(actions),
            reward=self._tensor(rewards),
            goes_on=self._tensor((ends == CONTINUES).astype(np.float32)),
            weight=self._tensor((ends != TRUNCATED).astype(np.float32)),
            noted={name: torch.stack([one[name] for one in noted]) for name in noted[0]},
            next_action=None if self._ahead is None else self._tensor(self._ahead[0]),
            state=state,
        )

    def _look(self, t: int, firsts: np.ndarray) -> None:
        vector = self._room.vector
        self._observation[t].copy_(torch.from_numpy(vector.observation))
        firsts[t] = vector.first

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._room.device)

    def diagnose(self) -> dict[str, float]:
        """The mean value of the states of the epoch; there are no transitions that are followed."""
        return {"value": self._value, "delta": math.nan}
