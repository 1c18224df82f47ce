"""A gymnasium wrapper that adds an Atari game's state variables to ``info["labels"]``.

Source: AtariARI (Anand et al. 2019, arXiv 1906.08226), section 3. As in the 2019 code:
``info["labels"]`` is a dictionary of name -> integer, read from the emulator's RAM at the moment of
the observation. Ours: ``reset`` has it too, and the label set is chosen by name.
"""

from typing import Any

import ale_py
import gymnasium as gym

from workflow_src.ari.derived import VELOCITY
from workflow_src.ari.games import game_of
from workflow_src.ari.labels import decoder, is_position
from workflow_src.errors import UserError

# So that whoever imports the wrapper can `gymnasium.make` the games; calling it again does nothing.
gym.register_envs(ale_py)


class AtariARIWrapper(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Adds ``info["labels"]`` to ``reset`` and ``step``; everything else passes through.

    ``velocities``: also ``{name}_velocity`` for each position, its difference to the step before,
    0 after a reset.

    Takes any gymnasium environment whose innermost one is ale-py's, with whatever wrappers between.
    Raises `UserError` when it is not, when the label set is unknown, or when it does not have the
    game.
    """

    def __init__(self, env: gym.Env, label_set: str = "paper-2019", velocities: bool = False):
        if not isinstance(env, gym.Env):
            raise UserError(
                f"{type(env).__module__}.{type(env).__name__} is no environment of gymnasium: "
                "make it with gymnasium.make (import gymnasium as gym), or wrap a vector "
                "environment in AtariARIVectorWrapper"
            )
        # The wrapper of `atariari.benchmark` has this, and by default the interface of 2019.
        if env.has_wrapper_attr("new_step_api") and not env.get_wrapper_attr("new_step_api"):
            raise UserError(
                f"{env} has the interface of 2019, which no wrapper can go around: make it with "
                "new_step_api=True"
            )
        gym.utils.RecordConstructorArgs.__init__(self, label_set=label_set, velocities=velocities)
        super().__init__(env)
        self._game, self._label_set, self._velocities = game_played(env), label_set, velocities
        self._decoder = decoder(text("label_set", label_set), self._game)
        self._before: dict[str, int] = {}

    def ari(self) -> tuple[str, str]:
        """The game and the label set."""
        return self._game, self._label_set

    def labels(self) -> dict[str, int]:
        """The state variables now: name -> value in 0..255, in the order of `variables`."""
        ram = self.env.unwrapped.ale.getRAM()  # type: ignore[attr-defined]
        return dict(zip(self._decoder.names, self._decoder(ram).tolist(), strict=True))

    def _derived(self, reset: bool) -> dict[str, int]:
        found = self.labels()
        if not self._velocities:
            return found
        before, self._before = (found if reset else self._before), found
        moved = {f"{n}{VELOCITY}": found[n] - before[n] for n in found if is_position(n)}
        return found | moved

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; ``info["labels"]`` belongs to the returned observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, info | {"labels": self._derived(reset=True)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment; ``info["labels"]`` belongs to the returned observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return (
            observation,
            reward,
            terminated,
            truncated,
            info | {"labels": self._derived(reset=False)},
        )


def text(what: str, value: Any) -> str:
    """``value`` if it is text, else a `UserError` that names ``what`` it should be."""
    if not isinstance(value, str):
        raise UserError(f"{what} is {value!r}: give text")
    return value


def game_played(env: gym.Env) -> str:
    """The game of an environment of ale-py; `UserError` for another environment."""
    atari = env.unwrapped
    if not isinstance(atari, ale_py.AtariEnv):
        raise UserError(
            f"{env} has no Atari emulator, so no RAM to read; "
            "wrap an environment of ale-py, such as Pong-v4"
        )
    # The ROM, not the spec's id: an environment built by hand has no spec, and after
    # `gymnasium.make(..., game=...)` the id names another game than the one that is played.
    return game_of(atari._game)
