"""What a policy is: a class that is registered under its kind and chooses an action for a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from workflow_src.kinds import Registry

if TYPE_CHECKING:  # as in episodes/collect.py
    from workflow_src.config.episodes import Policy


class PlayingPolicy(Protocol):
    """Built for each environment from its row of ``policies``, the number of actions, a generator.

    All that is random comes from the generator, so an environment plays the same anywhere.
    """

    def __init__(self, settings: Policy, actions: int, rng: np.random.Generator): ...

    def __call__(self, frame: np.ndarray) -> int:
        """The index of the action after ``frame``, uint8 (210, 160)."""


FOLDER = "episodes/policies"
_REGISTRY: Registry[type[PlayingPolicy]] = Registry(FOLDER)
policy, find = _REGISTRY.register, _REGISTRY.find
