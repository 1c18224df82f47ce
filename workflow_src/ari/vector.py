"""Labels of many environments at once: a wrapper for gymnasium's vector environments."""

from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv, VectorWrapper

from workflow_src.ari.labels import labels, variables
from workflow_src.ari.wrapper import game_played, text
from workflow_src.errors import UserError

_INSIDE = "gymnasium.make_vec(..., wrappers=[AtariARIWrapper])"


class AtariARIVectorWrapper(VectorWrapper):
    """Adds ``info["labels"]`` to ``reset`` and ``step``: name -> int64 (num_envs,).

    The labels belong to the observations that are returned, in every mode of automatic resets.
    Takes gymnasium's `SyncVectorEnv` of Atari environments of one game, and its `AsyncVectorEnv`,
    whose environments are in other processes and have to wear `AtariARIWrapper` themselves.
    `UserError` for others: ale-py's own vector environment has no RAM.
    """

    def __init__(self, env: VectorEnv, label_set: str = "paper-2019"):
        text("label_set", label_set)
        if not isinstance(env, VectorEnv):
            raise UserError(
                f"{env} is no vector environment: wrap a single one in AtariARIWrapper, or make "
                "several with gymnasium.make_vec"
            )
        super().__init__(env)
        self._inner = env.unwrapped
        if isinstance(self._inner, SyncVectorEnv):
            games = [game_played(one) for one in self._inner.envs]
        elif isinstance(self._inner, AsyncVectorEnv):
            if not all(self._inner.call("has_wrapper_attr", "ari")):
                raise UserError(
                    f"the environments of {env} are in other processes: make them with {_INSIDE}"
                )
            worn = list(self._inner.call("ari"))
            games = [game for game, _ in worn]
            if {theirs for _, theirs in worn} != {label_set}:
                raise UserError(
                    f"the environments of {env} have the label set {worn[0][1]}, not {label_set}: "
                    "name one label set"
                )
        else:
            raise UserError(
                f"{env} gives no RAM, so no labels; use gymnasium's vector environments: "
                'gymnasium.make_vec(id, n, vectorization_mode="sync")'
            )
        if len(set(games)) != 1:
            raise UserError(
                f"the environments play {', '.join(sorted(set(games)))}: use one game at a time"
            )
        self._game, self._label_set = games[0], label_set
        self._names = tuple(variables(label_set, self._game))

    def labels(self) -> dict[str, np.ndarray]:
        """The state variables now: name -> int64 (num_envs,), in the order of `variables`."""
        if isinstance(self._inner, SyncVectorEnv):
            # An atari environment has its emulator, which gymnasium's type does not know.
            rams = [one.unwrapped.ale.getRAM() for one in self._inner.envs]  # type: ignore[attr-defined]
            values = labels(np.stack(rams), self._label_set, self._game)
            return dict(zip(self._names, values.T, strict=True))
        found = self._inner.call("labels")  # type: ignore[attr-defined]
        return {name: np.array([one[name] for one in found], np.int64) for name in self._names}

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environments; ``info["labels"]`` belongs to the returned observations."""
        observations, info = self.env.reset(seed=seed, options=options)
        return observations, self._with_labels(info)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the environments; ``info["labels"]`` belongs to the returned observations."""
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        return observations, rewards, terminated, truncated, self._with_labels(info)

    def _with_labels(self, info: dict[str, Any]) -> dict[str, Any]:
        told = info.get("labels", {})
        # Where every environment told its own with this step, nobody is asked again.
        if set(self._names) <= set(told) and np.all(info["_labels"]):
            found = {name: np.asarray(told[name], np.int64) for name in self._names}
        else:
            found = self.labels()
        return info | {"labels": found, "_labels": np.ones(self.num_envs, bool)}
