"""Environments of one's own: a class from any Python file, with gymnasium's interface.

The file is imported, so it is trusted as any program one runs. Only a class derived from
`gymnasium.Env` is ever called.
"""

import sys
import types
from typing import Any

import gymnasium as gym
import numpy as np

from workflow_src.agents.environment import World, world
from workflow_src.agents.gym_world import GymWorld
from workflow_src.config.agents import AgentEnvironment, AgentProtocol
from workflow_src.errors import UserError, explained
from workflow_src.paths import expanded


@world("custom")
def custom(settings: AgentEnvironment, protocol: AgentProtocol, game: str, training: bool) -> World:
    """The environment of a file, after a trial of it; `UserError` when it does not fit."""
    name = settings.module or ""
    env = _make(name, settings.options)
    _check_spaces(name, env)
    _try(name, env)
    return GymWorld(env)


def _make(module: str, kwargs: dict[str, Any]) -> gym.Env:
    file, _, name = module.rpartition(":")
    path = expanded(file)
    with explained("read", path):
        source = path.read_bytes()
    loaded = types.ModuleType(f"environment_{path.stem}")
    loaded.__file__ = str(path)
    sys.modules[loaded.__name__] = loaded  # where dataclasses look for it
    try:
        exec(compile(source, str(path), "exec"), loaded.__dict__)
    except Exception as error:
        raise UserError(f"{path} cannot be imported: {_said(error)}; correct the file") from error
    found = getattr(loaded, name, None)
    if not isinstance(found, type) or not issubclass(found, gym.Env):
        what = "is missing" if found is None else "is not a class derived from gymnasium.Env"
        raise UserError(f"{module} {what}: name an environment of that file")
    try:
        return found(**kwargs)
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
        raise UserError(
            f"{module}({given}) cannot be made: {_said(error)}; correct the file or options"
        ) from error


def _check_spaces(name: str, env: gym.Env) -> None:
    actions = getattr(env, "action_space", None)
    if not isinstance(actions, gym.spaces.Discrete):
        raise UserError(
            f"{name} has the actions {actions}: agents here need a gymnasium.spaces.Discrete"
        )
    space = getattr(env, "observation_space", None)
    if not isinstance(space, gym.spaces.Box):
        raise UserError(
            f"{name} has the observations {space}: agents here need one array, a "
            "gymnasium.spaces.Box"
        )
    if space.dtype != np.uint8 and not np.issubdtype(space.dtype, np.floating):
        raise UserError(
            f"{name} has observations of type {space.dtype}: give uint8 or floating-point numbers"
        )


def _try(name: str, env: gym.Env) -> None:
    """Reset and make one step."""
    space, actions = env.observation_space, env.action_space
    assert isinstance(actions, gym.spaces.Discrete)
    try:
        observation, _ = env.reset(seed=0)
        _check(name, "reset", observation, space)
        observation, reward, _, _, _ = env.step(int(actions.start))
        _check(name, "step", observation, space)
        if not np.isfinite(float(reward)):
            raise UserError(f"{name}.step gives the reward {reward}: return a finite number")
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{name} fails in a first reset and step: {_said(error)}; correct the file"
        ) from error


def _check(name: str, method: str, observation: Any, space: gym.Space) -> None:
    if np.shape(observation) != space.shape:
        raise UserError(
            f"{name}.{method} gives an observation of shape {np.shape(observation)}, not "
            f"{space.shape} as its observation_space says: make them agree"
        )


def _said(error: Exception) -> str:
    """An error of somebody else's code in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
