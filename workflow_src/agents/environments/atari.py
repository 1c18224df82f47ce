"""Atari games as agents see them: 84 x 84 (Mnih et al. 2015), or the frames of the encoders.

An action is repeated for ``frame_skip`` emulator frames, and a frame is the maximum of the last two
grays, resized by area. That is what ale-py's `AtariVectorEnv` gives, byte by byte; with ``pool:
resize-first`` both are resized before the maximum, as atari-agents did, which differs in a few
pixels. The encoders' frames are merged in colour, as they are collected. Stickiness is drawn here,
for each emulator frame: a saved state of the emulator forgets the last action, so its own
stickiness could not be repeated.
"""

import ale_py
import cv2
import numpy as np
import stringzilla
from ale_py import ALEInterface, LoggerMode

from workflow_src.agents.environment import World, world
from workflow_src.ari.games import rom_name
from workflow_src.config.agents import AgentEnvironment, AgentProtocol
from workflow_src.emulator.colors import GRAY, Screens
from workflow_src.emulator.environment import (
    CONTINUES,
    HEIGHT,
    LIFE_LOST,
    NOOP,
    TERMINATED,
    TRUNCATED,
    WIDTH,
)
from workflow_src.errors import UserError

SIZES = {"atari": (84, 84), "frame": (HEIGHT, WIDTH)}
# Drawn in blocks: one call of the generator costs as much as drawing a block.
_BLOCK = 1024


@world("atari")
class Atari(World):
    """A game of the emulator; rewards are raw."""

    dtype = np.dtype(np.uint8)

    def __init__(
        self, settings: AgentEnvironment, protocol: AgentProtocol, game: str, training: bool
    ):
        ALEInterface.setLoggerMode(LoggerMode.Error)
        cv2.setNumThreads(0)
        self.ale = ALEInterface()
        self.ale.setInt("random_seed", 0)  # only its own sticky actions would draw from it
        self.ale.setFloat("repeat_action_probability", 0.0)
        self._prepare()
        self.ale.loadROM(ale_py.roms.get_rom_path(rom_name(game)))  # type: ignore[arg-type]
        self._variant(settings, game)
        self.actions = self.ale.getMinimalActionSet()
        self.meanings = [action.name for action in self.actions]
        self.num_actions = len(self.actions)
        self.frame_shape = SIZES[settings.observation]
        self.frame_skip = settings.frame_skip
        self._protocol = protocol
        self._ends_lives = protocol.life_loss and training
        self._resize_first = settings.pool == "resize-first"
        screen = self.ale.getScreenDims()
        self._screens = Screens(screen)
        self._last = self._screens.last
        self._last_bytes = memoryview(self._last.reshape(-1))  # type: ignore[arg-type]
        self._merged = np.empty(screen, np.uint8)
        self._small = np.empty((2, *self.frame_shape), np.uint8)
        self._resized = screen != self.frame_shape
        self._as_loaded = self.ale.cloneSystemState()

    def _prepare(self) -> None:
        """Set what has to be set before a game is loaded."""

    def _variant(self, settings: AgentEnvironment, game: str) -> None:
        """Choose mode and difficulty, which count from the next reset on."""
        for name, choose, known in (
            ("mode", self.ale.setMode, self.ale.getAvailableModes),
            ("difficulty", self.ale.setDifficulty, self.ale.getAvailableDifficulties),
        ):
            value = getattr(settings, name)
            if value is None:
                continue
            if value not in known():
                raise UserError(
                    f"environment.{name}: {game} has no {name} {value}; choose one of "
                    f"{', '.join(map(str, known()))}"
                )
            choose(value)
        self.ale.reset_game()

    def new_game(self, rng: np.random.Generator, out: np.ndarray) -> None:
        """Begin as if the game had just been loaded."""
        # A reset alone keeps traces of what was played (Berzerk, Tennis).
        self.ale.restoreSystemState(self._as_loaded)
        self._rng, self._drawn = rng, []  # type: ignore[var-annotated]
        self.next_game(out)

    def next_game(self, out: np.ndarray) -> None:
        """Reset, then up to ``noop_max`` no-ops of one emulator frame each."""
        self.ale.reset_game()
        self._before = NOOP
        self.frames = 0
        noops = self._protocol.noop_max
        for _ in range(int(self._rng.integers(0, noops + 1)) if noops else 0):
            self.ale.act(self.actions[NOOP])
            self.frames += 1
            if self.ale.game_over():
                self.ale.reset_game()
        self.lives = self.ale.lives()
        self.ale.getScreen(self._last[0])
        self._last[1] = self._last[0]
        self._observe(out)

    def step(self, action: int, out: np.ndarray) -> tuple[float, int]:
        """Play ``action`` for ``frame_skip`` frames, or fewer if the game ends before.

        Then the screens are those of its last frame.
        """
        reward = self._play(action)
        self._observe(out)
        lives, lost = self.ale.lives(), self.lives
        self.lives = lives
        if self.ale.game_over():
            return reward, TERMINATED
        limit = self._protocol.max_frames
        if limit is not None and self.frames >= limit:
            return reward, TRUNCATED
        # Some games show 0 lives for a few frames before the game is over; that ends no episode.
        return reward, LIFE_LOST if self._ends_lives and 0 < lives < lost else CONTINUES

    def _play(self, action: int) -> float:
        reward, seen = 0.0, 0
        sticky = self._protocol.sticky
        for left in range(self.frame_skip - 1, -1, -1):
            if not sticky or not self._repeats(sticky):
                self._before = action
            reward += self.ale.act(self.actions[self._before])
            self.frames += 1
            over = self.ale.game_over()
            if left < 2 or over:
                self.ale.getScreen(self._last[seen])
                seen += 1
            if over:
                break
        if seen == 1:
            self._last[1] = self._last[0]
        return reward

    def _repeats(self, chance: float) -> bool:
        if not self._drawn:
            self._drawn = (self._rng.random(_BLOCK) < chance).tolist()
        return self._drawn.pop()

    def _observe(self, out: np.ndarray) -> None:
        if not self._resized:
            self._screens.merge(out)
            return
        stringzilla.translate(self._last_bytes, GRAY, out=self._last_bytes)
        size = self.frame_shape[::-1]
        if self._resize_first:
            for frame, small in zip(self._last, self._small, strict=True):
                cv2.resize(frame, size, dst=small, interpolation=cv2.INTER_AREA)
            np.maximum(*self._small, out=out)  # type: ignore[call-overload]
        else:
            np.maximum(*self._last, out=self._merged)  # type: ignore[call-overload]
            cv2.resize(self._merged, size, dst=out, interpolation=cv2.INTER_AREA)

    def screen(self, frame: np.ndarray) -> np.ndarray:
        """The emulator's colours."""
        return self.ale.getScreenRGB()

    def ram(self, out: np.ndarray) -> None:
        """Copy the emulator's 128 bytes to ``out``."""
        self.ale.getRAM(out)
