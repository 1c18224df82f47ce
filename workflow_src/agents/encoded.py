"""Environments seen through a frozen encoder: observations are its features of each frame.

Each frame is encoded once, by the process that learns, on its device. What is learned are the
layers after the features, from as many of them as the agent's ``history``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from workflow_src import encoders
from workflow_src.agents.vector import Vector
from workflow_src.config.methods import Method
from workflow_src.errors import UserError


@dataclass(frozen=True)
class Frozen:
    """A file of an encoder's weights, and the row of the method that made it."""

    file: Path
    method: str
    row: Method

    def sha256(self) -> str:
        """The checksum of the file."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()


def seen_through(
    frozen: Frozen | None, vector: Vector, game: str, history: int, device: torch.device
) -> Vector | Encoded:
    """The vector itself, or what an encoder makes of it."""
    return vector if frozen is None else Encoded(vector, frozen, game, history, device)


class Encoded:
    """A `Vector` whose ``observation`` is float32 ``(n, history, d)``: features, the newest last.

    Zeros before an episode's first. All else is the vector's, which is closed with this.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, vector: Vector, frozen: Frozen, game: str, history: int, device: torch.device
    ):
        """``vector`` has the history that the encoder sees.

        `UserError` for the weights of another method or game.
        """
        self._encoder, header = encoders.load_one(frozen.file, frozen.row)
        for name, value in (("game", game), ("method", frozen.method)):
            if header.get(name) != value:
                raise UserError(
                    f"{frozen.file} has {name} {header.get(name)}, not {value}: name the right file"
                )
        self._vector, self._device = vector, device
        n, stack = vector.observation.shape[:2]
        self._each, self._back = np.arange(n)[:, None], stack - 1 - np.arange(stack)
        self._age = np.zeros(n, np.int64)  # steps since the newest frame of a life's beginning
        blank = torch.from_numpy(np.zeros_like(vector.observation))
        self.frame_shape = encoders.encode(self._encoder, blank, device).shape[1:]
        self.observation = np.zeros((n, history, *self.frame_shape), np.float32)
        self.num_actions, self.meanings = vector.num_actions, vector.meanings
        self.frame_skip = vector.frame_skip
        self.first, self.reward, self.end = vector.first, vector.reward, vector.end
        self.frames, self.lives, self.ram = vector.frames, vector.lives, vector.ram

    @property
    def finished(self) -> list[tuple[int, float, int, int]]:
        """The games that ended in the step before."""
        return self._vector.finished

    def new_games(self, rngs: Sequence[np.random.Generator]) -> None:
        """Begin a new game in every environment, each with a generator of its own."""
        self._vector.new_games(rngs)
        self._look()

    def step(self, actions: np.ndarray) -> None:
        """Play ``actions`` (n,), one in each environment."""
        self.send(actions)
        self.receive()

    def send(self, actions: np.ndarray) -> None:
        """Begin a step; nothing of the arrays may be used until `receive`."""
        self._vector.send(actions)

    def receive(self) -> None:
        """Wait for the end of a step."""
        self._vector.receive()
        self._look()

    def close(self) -> None:
        """End the processes."""
        self._vector.close()

    def _look(self) -> None:
        self._age = np.where(self.first, 0, self._age + 1)
        # As encoders learned it: before an episode's first frame stands that frame.
        back = np.minimum(self._back, self._age[:, None])
        frames = self._vector.observation[self._each, len(self._back) - 1 - back]
        features = encoders.encode(self._encoder, frames, self._device)
        self.observation[:, :-1] = self.observation[:, 1:]
        self.observation[self.first, :-1] = 0
        self.observation[:, -1] = features
