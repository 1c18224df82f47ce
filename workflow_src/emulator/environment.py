"""One Atari emulator, preprocessed as in the benchmark.

Source: arXiv 1906.08226, section 4, and the environment stack of the 2019 code.

- up to 30 no-ops after a reset, each one emulator frame;
- an action is repeated for ``frame_skip`` emulator frames (4); the observation is the maximum of
  the last two, in colour, then made gray (`emulator.colors`);
- the loss of a life ends an episode; the next one goes on from there after one no-op step;
- where the game has FIRE, it is pressed after every reset, then action 2 (as the OpenAI baselines
  do);
- full resolution, grayscale, one frame; taller screens would be resized to 210x160 (in ale-py 0.12
  no game of ours has one).

Differs from the 2019 code: actions are never sticky by construction, not by the environment's id.
"""

import ale_py
import cv2
import numpy as np
from ale_py import ALEInterface, LoggerMode

from workflow_src.ari.games import rom_name
from workflow_src.emulator.colors import GRAY, Screens
from workflow_src.errors import UserError

HEIGHT, WIDTH = 210, 160
RAM_BYTES = 128

# How a step leaves its episode. As in gymnasium, an episode is terminated by the game and truncated
# from outside, here by the end of collecting. In the benchmark a lost life ends an episode, too.
CONTINUES, LIFE_LOST, TERMINATED, TRUNCATED = range(4)

NOOP, FIRE = 0, 1
# Each reset checks that the emulator makes the same grays.
_GRAYS = np.frombuffer(GRAY, np.uint8)


class Environment:
    """A scalar emulator with manual reset. Frames are written into arrays that the caller owns."""

    def __init__(
        self, game: str, rng: np.random.Generator, *, frame_skip: int = 4, noop_max: int = 30
    ):
        """Load ``game`` (an id such as ``mspacman``); ``rng`` draws the no-ops."""
        ALEInterface.setLoggerMode(LoggerMode.Error)
        cv2.setNumThreads(0)
        self.ale = ALEInterface()
        # Settings count from the next loadROM on.
        self.ale.setInt("random_seed", 0)  # only sticky actions would draw from it
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(ale_py.roms.get_rom_path(rom_name(game)))  # type: ignore[arg-type]
        self.actions = self.ale.getMinimalActionSet()
        self.meanings = [action.name for action in self.actions]
        self._game, self._frame_skip, self._noop_max = game, frame_skip, noop_max
        screen = self.ale.getScreenDims()
        self._screens = Screens(screen)
        self._last = self._screens.last
        self._merged = np.empty(screen, np.uint8)
        self._resized = screen != (HEIGHT, WIDTH)
        self._as_loaded = self.ale.cloneSystemState()
        self.restart(rng)

    def restart(self, rng: np.random.Generator) -> None:
        """Restore the freshly loaded state and use ``rng``: 0.1 ms, where loading takes 70."""
        # A reset alone keeps traces of what was played (Berzerk, Tennis).
        self.ale.restoreSystemState(self._as_loaded)
        # Was the emulator's seed: without this draw, all later ones would change.
        rng.integers(2**31)
        self._rng, self.lives, self.game_over = rng, 0, True

    def reset(self, out: np.ndarray) -> bool:
        """Begin the next episode: a new game if the last one is over, else the next life.

        ``out`` (210, 160) uint8 gets the first frame. Returns whether a new game began.
        """
        new_game = False
        while True:
            if self.game_over:
                new_game = True
                self.ale.reset_game()
                for _ in range(self._draw_noops()):
                    self.ale.act(self.actions[NOOP])
                self.ale.getScreen(self._last[0])
                self._last[1] = self._last[0]
            else:
                self._act(NOOP)
            if self.meanings[FIRE] == "FIRE":
                self._act(FIRE)
                self._act(2)
            self.game_over = self.ale.game_over()
            if not self.game_over:
                break
        self.lives = self.ale.lives()
        self._observe(out)
        if not np.array_equal(_GRAYS[self._last[1]], self.ale.getScreenGrayscale()):
            raise UserError(
                f"ale-py {ale_py.__version__} converts the colours of {self._game} to other grays "
                "than this version expects: install the versions in requirements.lock"
            )
        return new_game

    def _draw_noops(self) -> int:
        return int(self._rng.integers(1, self._noop_max + 1)) if self._noop_max else 0

    def step(self, action: int, out: np.ndarray) -> tuple[float, int]:
        """Play ``action``, an index into ``actions``; returns the raw reward and an end code.

        ``out`` (210, 160) uint8 gets the frame.
        """
        reward = self._act(action)
        self._observe(out)
        lives, lost = self.ale.lives(), self.lives
        self.lives = lives
        if self.ale.game_over():
            self.game_over = True
            return reward, TERMINATED
        # Some games show 0 lives for a few frames before the game is over; that ends no episode.
        return reward, LIFE_LOST if 0 < lives < lost else CONTINUES

    def ram(self, out: np.ndarray) -> None:
        """Copy the emulator's 128 bytes to ``out``."""
        self.ale.getRAM(out)

    def _act(self, action: int) -> float:
        ale, code = self.ale, self.actions[action]
        reward = 0
        for _ in range(self._frame_skip - 2):
            reward += ale.act(code)
        for frame in self._last:
            reward += ale.act(code)
            ale.getScreen(frame)
        return reward

    def _observe(self, out: np.ndarray) -> None:
        if self._resized:
            self._screens.merge(self._merged)
            cv2.resize(self._merged, (WIDTH, HEIGHT), dst=out, interpolation=cv2.INTER_AREA)
        else:
            self._screens.merge(out)
