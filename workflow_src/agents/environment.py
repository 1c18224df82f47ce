"""What an agent plays in: one environment, of one of the kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_src.config.agents import ENVIRONMENTS
from workflow_src.errors import UserError
from workflow_src.kinds import Registry

if TYPE_CHECKING:
    from workflow_src.config.agents import AgentEnvironment, AgentProtocol

# A world is made with (settings, protocol, game, training).
_WORLDS: Registry[Any] = Registry(ENVIRONMENTS)
world = _WORLDS.register


class World(ABC):
    """One environment. Single frames are written into arrays that the caller owns."""

    num_actions: int
    meanings: list[str]  # of the actions
    frame_shape: tuple[int, ...]
    dtype: np.dtype  # of frames: uint8 or float32
    frame_skip = 1  # frames of the game in a step
    frames = 0  # of the running game
    lives = 0

    @abstractmethod
    def new_game(self, rng: np.random.Generator, out: np.ndarray) -> None:
        """Begin a new game, whatever was played before; ``out`` gets its first frame.

        ``rng`` draws all that is random until the next call.
        """

    @abstractmethod
    def next_game(self, out: np.ndarray) -> None:
        """Begin another game with the same generator, after one that ended."""

    @abstractmethod
    def step(self, action: int, out: np.ndarray) -> tuple[float, int]:
        """Play ``action``; returns the raw reward and an end code of `emulator.environment`.

        ``out`` gets the frame.
        """

    def ram(self, out: np.ndarray) -> None:  # noqa: B027 - most worlds have none
        """Copy the emulator's 128 bytes to ``out``, where there is one."""

    def screen(self, frame: np.ndarray) -> np.ndarray:
        """What a person sees, (H, W, 3) uint8, when ``frame`` is the newest: itself, in grays."""
        if frame.ndim != 2 or frame.dtype != np.uint8:
            raise UserError("only environments whose frames are (H, W) of bytes can be recorded")
        size = max(1, 160 // max(frame.shape))  # large enough to be looked at
        return frame.repeat(size, 0).repeat(size, 1)[:, :, None].repeat(3, 2)

    def close(self) -> None:  # noqa: B027 - most worlds hold nothing
        """Free what the environment holds."""


def make(
    settings: AgentEnvironment, protocol: AgentProtocol, *, game: str, training: bool
) -> World:
    """A new environment; `UserError` when it cannot be made."""
    return _WORLDS.find(settings.kind)(settings, protocol, game, training)
