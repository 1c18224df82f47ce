"""An agent of ours: it sees observations that are made of the very frames that are stored.

A fraction of its actions is uniform, the no-op included, as in the 2019 code. The network runs in
float32 on one thread of a processor, so the file depends neither on workers nor on a GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from workflow_src.agents import learner as learners
from workflow_src.agents import weights
from workflow_src.agents.environments.atari import SIZES
from workflow_src.episodes.policy import GAME, LIFE, Player, policy

if TYPE_CHECKING:  # as in episodes/collect.py
    from workflow_src.config.episodes import Policy


@policy("agent")
class AgentPolicy:
    """Plays by the values of a network."""

    def __init__(
        self,
        settings: Policy,
        actions: int,
        rng: np.random.Generator,
        player: Player | None = None,
    ):
        """`UserError` when the weights are not those of the agent and the game."""
        assert player is not None, "the kind agent needs a player"
        cv2.setNumThreads(0)
        self._chance, self._actions, self._rng = settings.random, actions, rng
        self._clears = player.clear_history
        row = player.row.model_copy(update={"precision": "float32"})
        self._size = SIZES[row.environment.observation]
        self._history = np.zeros((1, row.history, *self._size), np.uint8)
        self._first = np.zeros(1, bool)
        torch.set_num_threads(1)  # of a process that does nothing else
        learner = learners.build(
            row,
            actions=actions,
            frame_shape=self._size,
            generator=torch.Generator().manual_seed(0),  # the weights are read
            device=torch.device("cpu"),
        )
        expected = {"agent": settings.agent, "game": player.game}
        weights.load(player.weights, learner.network, expected)
        self._actor = learner.actor(1, evaluation=True)
        self._actor.samples = settings.sample

    def __call__(self, frame: np.ndarray, begins: int) -> int:
        """The next action, with a chance a uniform one."""
        history = self._history[0]
        self._first[0] = begins == GAME or (begins == LIFE and self._clears)
        history[:-1] = 0 if self._first[0] else history[1:]
        if self._size == frame.shape:
            history[-1] = frame
        else:
            size = self._size[::-1]
            cv2.resize(frame, size, dst=history[-1], interpolation=cv2.INTER_AREA)
        # Every call draws as much.
        explores, drawn = self._rng.random() < self._chance, int(self._rng.integers(self._actions))
        values = self._actor.values(self._history, self._first, self._rng)
        return drawn if explores else int(values[0].argmax())
