"""``AtariARIWrapper`` and ``ram2label`` with the interface of 2019.

New code uses `atariari.AtariARIWrapper`, which has gymnasium's interface.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from atariari.benchmark.ram_annotations import LABEL_SET
from workflow_src.ari import wrapper
from workflow_src.ari.games import game_of
from workflow_src.ari.labels import RAM_BYTES, labels, variables
from workflow_src.ari.wrapper import text
from workflow_src.errors import UserError


class AtariARIWrapper(wrapper.AtariARIWrapper):
    """Adds ``info["labels"]`` to ``step``, which returns (observation, reward, done, info).

    ``reset`` returns the observation alone. With ``new_step_api=True`` both return what
    gymnasium's do, so that gymnasium's wrappers can go around this one. ``label_set``: that of
    `ram_annotations.atari_dict` by default. Errors are those of the wrapper that this one is.
    """

    def __init__(self, env: gym.Env, new_step_api: bool = False, label_set: str = LABEL_SET):
        super().__init__(env, label_set=label_set)
        self._saved_kwargs = {"new_step_api": new_step_api, "label_set": label_set}
        self.new_step_api = new_step_api

    def reset(self, **kwargs: Any) -> Any:
        """Reset the environment: the observation, or gymnasium's (observation, info)."""
        observation, info = super().reset(**kwargs)
        return (observation, info) if self.new_step_api else observation

    def step(self, action: Any) -> Any:
        """Step the environment: (observation, reward, done, info), or gymnasium's five."""
        observation, reward, terminated, truncated, info = super().step(action)
        if self.new_step_api:
            return observation, reward, terminated, truncated, info
        return observation, reward, terminated or truncated, info


def ram2label(env_name: str, ram: np.ndarray, label_set: str = LABEL_SET) -> Mapping[str, int]:
    """The state variables of a RAM, 128 whole numbers in 0..255: name -> value in 0..255.

    ``env_name``: any of the game's ids. `UserError` for a game without annotations, and for what is
    no RAM, such as those of several environments.
    """
    text("label_set", label_set)
    game = game_of(text("env_name", env_name))
    try:
        values = np.asarray(ram)
    except ValueError:  # rows of different lengths
        values = np.asarray(ram, dtype=object)
    if values.shape != (RAM_BYTES,) or values.dtype.kind not in "iuf":
        raise UserError(
            f"ram has the shape {values.shape} and the type {values.dtype}: give the "
            f"{RAM_BYTES} bytes of one emulator, env.unwrapped.ale.getRAM()"
        )
    if wrong := sorted(set(values.tolist()) - set(range(256))):
        raise UserError(f"ram has the value {wrong[0]}: give whole numbers from 0 to 255")
    found = labels(values.astype(np.uint8), label_set, game)
    return dict(zip(variables(label_set, game), found.tolist(), strict=True))
