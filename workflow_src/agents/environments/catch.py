"""Catch, the small game of Kaixhin/Atari's demo (Kaixhin/rlenvs): a ball falls, a paddle moves.

The screen has ``size`` x ``size`` pixels. The ball begins at the top in a random column, falls a
row a step and drifts; it bounces off the walls. The paddle is ``ceil(size / 12)`` pixels wide, in
the last row. A game lasts ``size - 1`` steps, and its only reward is 1 for a ball that is caught:
one that is on the paddle where it really is, not where its pixel is drawn.

``level``: the drift is uniform on +-1/3 pixels a step, times ``1 - level``: 1 is without, 2 as in
the demo. ``flickering``: the chance that a frame is blank. ``obscured``: the six rows above the
paddle are blank.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from workflow_src.agents.environment import World, world
from workflow_src.agents.gym_world import GymWorld
from workflow_src.config.agents import AgentEnvironment, AgentProtocol
from workflow_src.errors import UserError

OPTIONS = {"size": 24, "level": 2, "flickering": 0.0, "obscured": False}
_HIDDEN_ROWS = 6


class Catch(gym.Env):
    """Catch as a gymnasium environment: observations (size, size) uint8, actions stay, left, right.

    Catching gives 1.
    """

    def __init__(
        self, size: int = 24, level: int = 2, flickering: float = 0.0, obscured: bool = False
    ):
        self.observation_space = gym.spaces.Box(0, 255, (size, size), np.uint8)
        self.action_space = gym.spaces.Discrete(3)
        self._size, self._level = size, level
        self._flickering, self._obscured = flickering, obscured
        self._width = -(-size // 12)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Put the paddle in the middle, the ball at the top."""
        super().reset(seed=seed)
        self._paddle = self._size // 2 - 1
        self._x, self._y = float(self.np_random.integers(self._size)), 0
        self._drift = self.np_random.uniform(-1 / 3, 1 / 3) * (1 - self._level)
        return self._screen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the paddle by a pixel, and the ball by a row."""
        move = (0, -1, 1)[int(action)]
        self._paddle = min(max(self._paddle + move, 0), self._size - self._width)
        self._y += 1
        self._x += self._drift
        if not 0 <= self._x <= self._size - 1:
            self._x = min(max(self._x, 0.0), self._size - 1.0)
            self._drift = -self._drift
        over = self._y == self._size - 1
        caught = over and self._paddle <= self._x <= self._paddle + self._width - 1
        return self._screen(), float(caught), over, False, {}

    def _screen(self) -> np.ndarray:
        screen = np.zeros((self._size, self._size), np.uint8)
        if self._flickering and self.np_random.random() < self._flickering:
            return screen
        screen[self._y, int(self._x)] = 255
        if self._obscured:
            screen[-1 - _HIDDEN_ROWS : -1] = 0
        screen[-1, self._paddle : self._paddle + self._width] = 255
        return screen


@world("catch")
def catch(settings: AgentEnvironment, protocol: AgentProtocol, game: str, training: bool) -> World:
    """Catch as agents play it."""
    options = settings.resolved_options
    if options["size"] < 2:
        raise UserError(
            f"environment.options.size: a ball cannot fall in {options['size']} row: choose 2 or "
            "more"
        )
    if options["flickering"] > 1:
        raise UserError(
            f"environment.options.flickering: {options['flickering']} is no chance: choose a "
            "number from 0 to 1"
        )
    return GymWorld(Catch(**options))
