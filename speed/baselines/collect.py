"""Collecting with gymnasium: `AtariPreprocessing`, labels and an `AsyncVectorEnv`.

What one puts together from the documentation to get frames and labels. Frames keep their 210x160,
in gray; everything else is as the paper has it: a skip of 4, up to 30 no-ops, the loss of a life
ends an episode. Frames and labels go to lists in memory, and nothing is stored.
"""

from functools import partial

import gymnasium as gym
import numpy as np
from ale_py import ALEInterface, LoggerMode
from gymnasium.wrappers import AtariPreprocessing

from workflow_src.ari import AtariARIWrapper, gym_id


def make(game: str) -> gym.Env:
    """One environment with labels."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    env = gym.make(gym_id(game))
    return AtariARIWrapper(
        AtariPreprocessing(
            env, noop_max=30, frame_skip=4, screen_size=(160, 210), terminal_on_life_loss=True
        )
    )


def collect(
    game: str, steps: int, workers: int
) -> tuple[list[np.ndarray], list[dict[str, np.ndarray]]]:
    """Play ``steps`` in ``workers`` processes: frames (210, 160), labels (workers,) by step."""
    envs = gym.vector.AsyncVectorEnv([partial(make, game)] * workers)
    try:
        envs.reset(seed=0)
        frames, labels = [], []
        for _ in range(steps // workers):
            observations, _, _, _, infos = envs.step(envs.action_space.sample())
            frames.extend(observations)
            labels.append(infos["labels"])
    finally:
        envs.close()
    return frames, labels
