"""The random agent: actions drawn uniformly (arXiv 1906.08226, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workflow_src.episodes.policy import Player, policy

if TYPE_CHECKING:  # as in episodes/collect.py
    from workflow_src.config.episodes import Policy


@policy("random")
class RandomPolicy:
    """Uniform actions, without the no-op unless the row asks for it (quirk Q2)."""

    # Drawn in blocks: one call of the generator costs as much as drawing a block.
    _BLOCK = 1024

    def __init__(
        self,
        settings: Policy,
        actions: int,
        rng: np.random.Generator,
        player: Player | None = None,
    ):
        self._first, self._actions, self._rng = (0 if settings.noop else 1), actions, rng
        self._drawn: list[int] = []

    def __call__(self, frame: np.ndarray, begins: int) -> int:
        """The next action; the frame is ignored."""
        if not self._drawn:
            self._drawn = self._rng.integers(self._first, self._actions, self._BLOCK).tolist()
        return self._drawn.pop()
