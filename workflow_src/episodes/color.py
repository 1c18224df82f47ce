"""The frames of a store in colour: the recorded actions are played again, and all is compared.

Frames are stored in gray, as the benchmark has them. What an encoder that sees RGB needs follows
from the recorded actions: they are played again, 2,000 frames a second, and every RAM and every
gray frame must be as stored.
"""

import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import blosc2
import numpy as np

from workflow_src import seeds
from workflow_src.emulator.colors import PALETTE
from workflow_src.emulator.environment import HEIGHT, WIDTH, Environment
from workflow_src.episodes.store import CHUNK, NO_ACTION, FrameStore
from workflow_src.errors import UserError

CHANNELS = 3
_PALETTE = PALETTE.astype(np.uint8)
_SHAPE = (CHANNELS, HEIGHT, WIDTH)


class ColorEnvironment(Environment):
    """An emulator whose last frame can be had in colour."""

    def color(self, out: np.ndarray) -> None:
        """Write the last frame to ``out``, uint8 (3, 210, 160): the maximum of two screens."""
        if self._resized:
            raise UserError(
                f"{self._game}'s screen is resized, which colours are not: probe it in gray"
            )
        before, last = self._last
        rgb = _PALETTE[last]
        differ = before != last
        rgb[differ] = np.maximum(rgb[differ], _PALETTE[before[differ]])
        out[:] = rgb.transpose(2, 0, 1)


class ColorStore:
    """A frame store in colour: what `dataset.load_stacks` needs of it.

    The frames are in a temporary file, which goes with this object. `UserError` if the game does
    not play again as it was recorded.
    """

    channels = CHANNELS

    def __init__(self, store: FrameStore):
        self.episode = store.episode
        self._directory = tempfile.TemporaryDirectory(prefix="atari-ari-")
        self._array = blosc2.empty(
            (len(store.ram), *_SHAPE),
            dtype=np.uint8,
            chunks=(CHUNK, *_SHAPE),
            blocks=(8, *_SHAPE),
            urlpath=str(Path(self._directory.name) / "frames.b2nd"),
            mode="w",
            cparams={"codec": blosc2.Codec.ZSTD, "clevel": 1, "filters": [], "nthreads": 1},
        )
        _play_again(store, self._array)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The frames of ``rows`` (n,): uint8 (n, 3, 210, 160)."""
        out = np.empty((len(rows), *_SHAPE), np.uint8)
        for chunk in np.unique(rows // CHUNK):
            wanted = np.flatnonzero(rows // CHUNK == chunk)
            frames = self._array[int(chunk) * CHUNK : (int(chunk) + 1) * CHUNK]
            out[wanted] = frames[rows[wanted] - chunk * CHUNK]
        return out


# `dataset.load_stacks` asks for episodes and frames of rows, which both have.
Frames: TypeAlias = Any


def as_seen(store: FrameStore, color: bool) -> Frames:
    """The frames as an encoder sees them: as they are stored, or in colour (n, 3, 210, 160)."""
    return ColorStore(store) if color else store


def _play_again(store: FrameStore, out: blosc2.NDArray) -> None:
    header = store.header
    settings = header["settings"]
    environment = ColorEnvironment(
        header["game"],
        np.random.default_rng(0),
        frame_skip=settings["frame_skip"],
        noop_max=settings["noop_max"],
    )
    # The shares of the emulators are whole chunks, but for the last one.
    begins = np.cumsum([0, *header["frames_per_env"]])[:-1].tolist()
    starts = {row: emulator for emulator, row in enumerate(begins)}
    names = (header["game"], "episodes", header["policy"], header["purpose"])
    gray, ram = np.empty((HEIGHT, WIDTH), np.uint8), np.empty(store.ram.shape[1], np.uint8)
    chunk = np.empty((CHUNK, *_SHAPE), np.uint8)
    for first, grays in store.chunks():
        for at, stored in enumerate(grays):
            row = first + at
            if row in starts:
                rng = seeds.generator(header["seed"], *names, starts[row], "environment")
                environment.restart(rng)
            if store.action[row] == NO_ACTION:
                environment.reset(gray)
            else:
                environment.step(int(store.action[row]), gray)
            environment.ram(ram)
            if not (np.array_equal(ram, store.ram[row]) and np.array_equal(gray, stored)):
                raise UserError(
                    f"{store.path} cannot be played again: it was recorded with ale-py "
                    f"{header['ale_py']} and frame {row} differs; make it again"
                )
            environment.color(chunk[at])
        out[first : first + len(grays)] = chunk[: len(grays)]
