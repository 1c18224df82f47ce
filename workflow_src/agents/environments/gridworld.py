"""GridWorld, an example of Kaixhin/Atari: a point walks to the corner of a square.

The position is in [0, 1] x [0, 1] and is itself the observation. The point begins at (0.2, 0.4) and
moves by 0.05 in one of four directions; each step costs 0.5, and the game ends at (1, 1). The best
return is -14: 28 steps. A game is cut off after ``max_steps``, which the original does not do: a
policy that does not learn would never end.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from workflow_src.agents.environment import World, world
from workflow_src.agents.gym_world import GymWorld
from workflow_src.config.agents import AgentEnvironment, AgentProtocol

OPTIONS = {"max_steps": 1000}
_CELLS = 20  # of 0.05, along each side: positions are whole numbers of them
_START = (4, 8)
_MOVES = ((0, 1), (0, -1), (-1, 0), (1, 0))  # up, down, left, right


class GridWorld(gym.Env):
    """GridWorld as a gymnasium environment: observations (2,) float32, four actions."""

    def __init__(self, max_steps: int = 1000):
        self.observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(4)
        self._max_steps = max_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Go to the start."""
        super().reset(seed=seed)
        self._at, self._steps = np.array(_START), 0
        return self._position(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move; walls stop the point, and the step costs as much."""
        self._at = np.clip(self._at + _MOVES[int(action)], 0, _CELLS)
        self._steps += 1
        there = bool((self._at == _CELLS).all())
        return self._position(), -0.5, there, not there and self._steps >= self._max_steps, {}

    def _position(self) -> np.ndarray:
        return (self._at / _CELLS).astype(np.float32)


@world("gridworld")
def gridworld(
    settings: AgentEnvironment, protocol: AgentProtocol, game: str, training: bool
) -> World:
    """GridWorld as agents play it."""
    return GymWorld(GridWorld(**settings.resolved_options))
