"""Watching an agent in the emulator's own window, with keys of the terminal."""

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from workflow_src import seeds
from workflow_src.agents import weights
from workflow_src.agents.environments.atari import Atari
from workflow_src.agents.live import Live, learner_of
from workflow_src.config.agents import Agent, AgentProtocol
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST
from workflow_src.errors import UserError

HELP = "space: pause, s: one step, + and -: epsilon, q: quit"
_FRAMES_A_SECOND = 60
_EPSILON_STEP = 0.05


class Shown(Atari):
    """A game in a window, perhaps with sound."""

    sound = False

    def _prepare(self) -> None:
        self.ale.setBool("display_screen", True)
        self.ale.setBool("sound", self.sound)


class Heard(Shown):
    """A game in a window with sound."""

    sound = True


def watch(
    *,
    game: str,
    agent: str,
    row: Agent,
    switches: AgentProtocol,
    weights_file: Path,
    seed: int = 0,
    epsilon: float | None = None,
    mode: int | None = None,
    difficulty: int | None = None,
    sound: bool = False,
    steps: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[float]:
    """Show an agent at play until q is pressed, or for so many ``steps``; the games' scores.

    ``say`` gets a line after each step. `UserError` without a screen, for agents of other
    environments, for an unknown mode or difficulty, and as of `weights.load`.
    """
    if row.environment.kind != "atari":
        raise UserError(f"{agent} plays {row.environment.kind}, which has no window: name another")
    if not any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")):
        raise UserError(
            "there is no screen here to show a window on (DISPLAY): look at the films of the run, "
            "results/films, or run this on your own computer"
        )
    change = {"mode": mode, "difficulty": difficulty}
    change = {name: value for name, value in change.items() if value is not None}
    environment = row.environment.model_copy(update=change)
    torch.set_num_threads(1)
    world = (Heard if sound else Shown)(environment, switches, game, training=False)
    learner = learner_of(row, world)
    weights.load(weights_file, learner.network, {"agent": agent, "game": game})
    rngs = [seeds.generator(seed, game, "watched", agent, what) for what in ("game", "actions")]
    live = Live(world, learner, switches, *rngs)
    epsilon = switches.epsilon if epsilon is None else epsilon
    paused, score, scores, number = False, 0.0, [], 0
    with _keys() as pressed:
        while steps is None or number < steps:
            begin, key = time.monotonic(), pressed()
            if key == "q":
                break
            if key == " ":
                paused = not paused
            if key in ("+", "-"):
                epsilon = float(np.clip(epsilon + {"+": 1, "-": -1}[key] * _EPSILON_STEP, 0, 1))
            if key == "s" or not paused:
                action, reward, end = live.step(epsilon)
                score, number = score + reward, number + 1
                say(
                    f"step {number:,}, score {score:g}, {world.meanings[action]:<14} "
                    f"epsilon {epsilon:.3f}   {HELP}"
                )
                if end not in (CONTINUES, LIFE_LOST):
                    scores.append(score)
                    score = 0.0
            taken = time.monotonic() - begin
            time.sleep(max(world.frame_skip / _FRAMES_A_SECOND - taken, 0))
    return scores


@contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """A function that gives the key that was pressed, or nothing; without a terminal, never one."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)

        def pressed() -> str:
            ready, _, _ = select.select([number], [], [], 0)
            return os.read(number, 1).decode(errors="replace") if ready else ""

        yield pressed
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
