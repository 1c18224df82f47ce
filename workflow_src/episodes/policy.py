"""What a policy is: a class that is registered under its kind and chooses an action for a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from workflow_src.kinds import Registry

if TYPE_CHECKING:  # as in episodes/collect.py
    from workflow_src.config.agents import Agent
    from workflow_src.config.episodes import Policy


@dataclass(frozen=True)
class Player:
    """An agent that plays: its row, whether a lost life blanks its history, and its weights."""

    row: Agent
    clear_history: bool
    game: str
    weights: Path


class PlayingPolicy(Protocol):
    """Built for each environment from its row of ``policies``, the number of actions, a generator.

    All that is random comes from the generator, so an environment plays the same anywhere.
    ``player``: for the kind ``agent``.
    """

    def __init__(
        self,
        settings: Policy,
        actions: int,
        rng: np.random.Generator,
        player: Player | None = None,
    ): ...

    def __call__(self, frame: np.ndarray, begins: int) -> int:
        """The index of the action after ``frame``, uint8 (210, 160).

        ``begins``: whether the frame is the first of a game (`GAME`), of an episode that goes on
        with the next life (`LIFE`), or neither (0). Called with every frame but an episode's last.
        """


LIFE, GAME = 1, 2


FOLDER = "episodes/policies"
_REGISTRY: Registry[type[PlayingPolicy]] = Registry(FOLDER)
policy, find = _REGISTRY.register, _REGISTRY.find
