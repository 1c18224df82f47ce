"""Environments of gymnasium as worlds of agents."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np

from workflow_src.agents.environment import World
from workflow_src.emulator.environment import CONTINUES, TERMINATED, TRUNCATED


class GymWorld(World):
    """A gymnasium environment of discrete actions and one array as observation."""

    def __init__(self, env: gym.Env):
        self._env = env
        space, actions = env.observation_space, env.action_space
        assert isinstance(space, gym.spaces.Box) and isinstance(actions, gym.spaces.Discrete)
        self.frame_shape, self._lowest = tuple(space.shape), int(actions.start)
        self.dtype = np.dtype(np.uint8 if space.dtype == np.uint8 else np.float32)
        self.num_actions = int(actions.n)
        self.meanings = [str(action) for action in range(self.num_actions)]

    def new_game(self, rng: np.random.Generator, out: np.ndarray) -> None:
        """Reset with a seed that is drawn from ``rng``."""
        self._begin(out, int(rng.integers(2**31)))

    def next_game(self, out: np.ndarray) -> None:
        """Reset without a seed: the environment's own generator goes on."""
        self._begin(out, None)

    def _begin(self, out: np.ndarray, seed: int | None) -> None:
        observation, _ = self._env.reset(seed=seed)
        self._look(observation, out)
        self.frames = 0

    def step(self, action: int, out: np.ndarray) -> tuple[float, int]:
        """A step of the environment."""
        observation, reward, over, cut, _ = self._env.step(action + self._lowest)
        self._look(observation, out)
        if not math.isfinite(reward):
            raise ValueError(f"the reward is {reward}: return a finite number")
        self.frames += 1
        return float(reward), TERMINATED if over else TRUNCATED if cut else CONTINUES

    def _look(self, observation: np.ndarray, out: np.ndarray) -> None:
        if np.shape(observation) != self.frame_shape:  # or it might be broadcast
            raise ValueError(
                f"the observation has the shape {np.shape(observation)}, not {self.frame_shape}"
            )
        out[...] = observation

    def close(self) -> None:
        """Close the environment."""
        self._env.close()
