"""Who plays. A policy is a row of ``policies`` in the configuration; its kind is a class of this file.

A policy gets the number of actions and a generator, and chooses an action for a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # as in collect.py
    from workflow_src.config.episodes import Policy


class RandomPolicy:
    """Actions uniform; without the no-op where the row says so (the 2019 agent never draws action 0, quirk Q2)."""

    # Drawn in blocks: one call of the generator costs as much as drawing a block.
    _BLOCK = 1024

    def __init__(self, settings: Policy, actions: int, rng: np.random.Generator):
        self._first, self._actions, self._rng = (0 if settings.noop else 1), actions, rng
        self._drawn: list[int] = []

    def __call__(self, frame: np.ndarray) -> int:
        """The next action; the frame is not looked at."""
        if not self._drawn:
            self._drawn = self._rng.integers(self._first, self._actions, self._BLOCK).tolist()
        return self._drawn.pop()


POLICIES = {"random": RandomPolicy}
