"""One agent at play in one environment of this process: to be recorded, or watched."""

from typing import Any, NamedTuple

import numpy as np
import torch

from workflow_src.agents import environment
from workflow_src.agents import learner as learners
from workflow_src.config.agents import Agent, AgentProtocol
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST


def learner_of(row: Agent, world: environment.World) -> Any:
    """A learner that plays in ``world``, in float32 on a processor; its weights are to be read."""
    return learners.build(
        row.model_copy(update={"precision": "float32"}),
        actions=world.num_actions,
        frame_shape=world.frame_shape,
        generator=torch.Generator().manual_seed(0),
        device=torch.device("cpu"),
    )


class Step(NamedTuple):
    """What an agent did, and what came of it."""

    action: int
    reward: float
    end: int  # a code of `emulator.environment`


class Live:
    """An agent that has begun a game; ``observation`` ``(k, *shape)`` is what it sees now."""

    def __init__(
        self,
        world: environment.World,
        learner: Any,
        switches: AgentProtocol,
        rng: np.random.Generator,
        drawn: np.random.Generator,
    ):
        """``rng`` is the environment's, ``drawn`` that of random actions and of a policy."""
        self._world, self._switches, self._drawn = world, switches, drawn
        self._actor = learner.actor(1, evaluation=True)
        self._history = np.zeros((1, learner.row.history, *world.frame_shape), world.dtype)
        self._first = np.ones(1, bool)
        world.new_game(rng, self._history[0, -1])

    @property
    def observation(self) -> np.ndarray:
        """The newest frame last."""
        return self._history[0]

    def step(self, epsilon: float) -> Step:
        """Act, with a chance ``epsilon`` at random; another game begins where one has ended."""
        world, history = self._world, self._history[0]
        best = self._actor.values(self._history, self._first, self._drawn)[0].argmax()
        explores = self._drawn.random() < epsilon
        random = self._drawn.integers(world.num_actions)
        action = int(random if explores else best)
        history[:-1] = history[1:]
        reward, end = world.step(action, history[-1])
        self._first[0] = end == LIFE_LOST and self._switches.clear_history
        if end not in (CONTINUES, LIFE_LOST):
            world.next_game(history[-1])
            self._first[0] = True
        if self._first[0]:
            history[:-1] = 0
        return Step(action, reward, end)
