"""What the screen does when a RAM byte is written: write it, play some frames, compare.

From one restored state the game goes on without an action, once as it was and once for each value
written; since the emulator is deterministic, every pixel that differs is the byte's doing. Four
emulator frames are compared, one by one: sprites that flicker show in some of them only.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from workflow_src.emulator.environment import CONTINUES, HEIGHT, NOOP, WIDTH, Environment

MOMENTS = 24
# Steps between two moments, drawn evenly.
_GAPS = (20, 200)
# Emulator frames without an action after a value was written: one step of the benchmark.
FRAMES = 4
# Values that are written at most, of a byte.
WRITTEN = 16
# Differences of grey levels from which on a pixel belongs to what moved.
_MOVED = 8
# More than so many times the pixels that move in most renders: something else happened.
_OTHER = 3
# Pictures of differences are half as high and wide.
SHRINK = 2
# Screens that are kept in colour: far apart, and one step after the other.
SHEET, FILM = 12, 48


class Effects(NamedTuple):
    """What writing bytes did, each (B,) float64 but ``pictures``."""

    pixels: (
        np.ndarray
    )  # share of the screen's pixels that differ in any frame, mean over moments and values
    pixels_most: np.ndarray  # the same, most over moments and values
    grey: np.ndarray  # mean difference of the pixels that differ, in grey levels; 0 where none does
    overwritten: np.ndarray  # share of writes that the game undid within the frames
    # Spearman's correlation of value and position, median over the moments with a movement, or 0.
    moves_x: np.ndarray
    moves_y: np.ndarray
    pictures: (
        np.ndarray
    )  # (B, H / 2, W / 2) uint8: where pixels differ, mean over moments and values, brightest 255


def moments(
    environment: Environment, rng: np.random.Generator, count: int = MOMENTS
) -> Iterator[Any]:
    """Play random actions and yield the emulator's state at ``count`` moments.

    Whatever is done to the emulator between two moments is undone.
    """
    frame = np.empty((HEIGHT, WIDTH), np.uint8)
    ended = True
    for _ in range(count):
        for _ in range(int(rng.integers(*_GAPS))):
            if not ended:
                ended = (
                    environment.step(int(rng.integers(len(environment.actions))), frame)[1]
                    != CONTINUES
                )
            if ended:
                environment.reset(frame)
                ended = False
        state = environment.ale.cloneState()
        yield state
        environment.ale.restoreState(state)


def to_write(counts: np.ndarray) -> np.ndarray:
    """The values to write to a byte with these ``counts`` (256,): at most 16, ascending.

    Returns (w,) uint8.

    Evenly over the distinct values, least and most among them. A byte that never changed gets each
    of its bits flipped.
    """
    values = np.flatnonzero(counts).astype(np.uint8)
    if len(values) == 1:
        return np.sort(values ^ np.left_shift(1, np.arange(8)).astype(np.uint8))
    return values[
        np.unique(np.linspace(0, len(values) - 1, min(WRITTEN, len(values))).round().astype(int))
    ]


def render(
    environment: Environment, state, out: np.ndarray, byte: int = 0, value: int | None = None
) -> int:
    """Continue from ``state`` with ``value`` written to RAM ``byte``; returns its last value.

    ``out`` (FRAMES, H, W) uint8 gets the frames in grey.
    """
    ale = environment.ale
    ale.restoreState(state)
    if value is not None:
        ale.setRAM(byte, int(value))
    for frame in out:
        ale.act(environment.actions[NOOP])
        ale.getScreenGrayscale(frame)
    return int(ale.getRAM()[byte])


def place(renders: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Spearman's correlations of the written value with the position of what moves, x and y.

    ``renders`` (w, P) uint8, one for each value ascending, of the pixels at ``x`` and ``y`` (P,).
    What moves in a render is what differs from the background, the median over renders; its place
    the mean of those pixels. A render in which much more differs than in most shows something else,
    such as a ball that is out: it is left out. 0 for a place that stays the same; None with fewer
    than three places.
    """
    background = np.partition(renders, len(renders) // 2, axis=0)[len(renders) // 2]
    moved = np.abs(renders.astype(np.int16) - background) >= _MOVED
    size = moved.sum(axis=1)
    if not size.any():
        return None
    there = (size > 0) & (size <= _OTHER * np.median(size[size > 0]))
    if there.sum() < 3:
        return None
    found = []
    for coordinate in (x, y):
        centre = moved[there] @ coordinate / size[there]
        moves = np.ptp(centre) >= 1  # a pixel
        found.append(
            float(scipy.stats.spearmanr(np.flatnonzero(there), centre).statistic) if moves else 0.0
        )
    return found[0], found[1]


def effects(
    environment: Environment, rng: np.random.Generator, indices: np.ndarray, counts: np.ndarray
) -> Effects:
    """Write values to the RAM bytes ``indices`` (B,) at several moments.

    ``counts`` (B, 256): how often each byte had each value.
    """
    values = [to_write(row) for row in counts]
    screen = environment.ale.getScreenDims()
    y, x = (np.broadcast_to(axis, screen).ravel() for axis in np.ogrid[: screen[0], : screen[1]])
    control = np.empty((FRAMES, *screen), np.uint8)
    renders = np.empty((max(map(len, values)), FRAMES, *screen), np.uint8)
    pixels = np.zeros((len(indices), MOMENTS))
    most, differing, grey, written, undone = np.zeros((5, len(indices)))
    summed = np.zeros((len(indices), screen[0] * screen[1]), np.float32)
    places: list[list[tuple[float, float]]] = [[] for _ in indices]
    for moment, state in enumerate(moments(environment, rng)):
        for b, index in enumerate(indices.tolist()):
            left = render(environment, state, control, index)
            after = [
                render(environment, state, out, index, v)
                for out, v in zip(renders, values[b], strict=False)
            ]
            flat, base = (
                renders[: len(after)].reshape(len(after), FRAMES, -1),
                control.reshape(FRAMES, -1),
            )
            some = np.flatnonzero((flat != base).any(axis=(0, 1)))
            difference = np.abs(flat[:, :, some].astype(np.int16) - base[:, some]).max(axis=1)
            share = (difference > 0).sum(axis=1) / summed.shape[1]
            pixels[b, moment], most[b] = share.mean(), max(most[b], share.max())
            differing[b] += np.count_nonzero(difference)
            grey[b] += difference.sum()
            summed[b, some] += difference.mean(axis=0)
            other = values[b] != left
            written[b] += other.sum()
            undone[b] += (np.array(after)[other] == left).sum()
            found = place(
                flat[:, :, some].reshape(len(after), -1),
                np.tile(x[some], FRAMES),
                np.tile(y[some], FRAMES),
            )
            places[b] += [found] if found else []
    moves = np.array([np.median(found, axis=0) if found else (0.0, 0.0) for found in places])
    return Effects(
        pixels=pixels.mean(axis=1),
        pixels_most=most,
        grey=grey / np.maximum(differing, 1),
        overwritten=undone / np.maximum(written, 1),
        moves_x=np.ascontiguousarray(moves[:, 0]),
        moves_y=np.ascontiguousarray(moves[:, 1]),
        pictures=pictures(summed.reshape(-1, *screen)),
    )


def pictures(differences: np.ndarray) -> np.ndarray:
    """Shrink differences (B, H, W) to (B, H / 2, W / 2) uint8 by the maximum, brightest 255."""
    n, height, width = differences.shape
    squares = differences.reshape(n, height // SHRINK, SHRINK, width // SHRINK, SHRINK).max(
        axis=(2, 4)
    )
    most = squares.max(axis=(1, 2), keepdims=True)
    return (
        (255 * np.divide(squares, most, out=np.zeros_like(squares), where=most > 0))
        .round()
        .astype(np.uint8)
    )


def film(
    environment: Environment, rng: np.random.Generator, frame_skip: int
) -> dict[str, np.ndarray]:
    """Screens with their RAM, at moments far apart and at steps that follow each other.

    ``sheet`` (12, H, W) and ``film`` (48, H, W) uint8 are numbers of colours in ``palette`` (256,
    3) uint8; ``sheet_ram`` and ``film_ram`` (n, 128) uint8.
    """
    palette = np.zeros((256, 3), np.uint8)
    sheet, film = [], []  # type: ignore[var-annotated]
    for _ in moments(environment, rng, SHEET):
        sheet.append(picture(environment, NOOP, frame_skip, palette))
    frame = np.empty((HEIGHT, WIDTH), np.uint8)
    while len(film) < FILM:
        ended = False
        environment.reset(frame)
        while not ended and len(film) < FILM:
            action, state = (
                int(rng.integers(len(environment.actions))),
                environment.ale.cloneState(),
            )
            film.append(picture(environment, action, frame_skip, palette))
            environment.ale.restoreState(state)
            ended = environment.step(action, frame)[1] != CONTINUES
    found = {"palette": palette}
    for name, pairs in (("sheet", sheet), ("film", film)):
        found[name], found[f"{name}_ram"] = (
            np.stack(arrays) for arrays in zip(*pairs, strict=True)
        )
    return found


def picture(
    environment: Environment, action: int, frame_skip: int, palette: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Play one step; returns its screen (H, W), colour numbers, and the RAM (128,), uint8.

    As in the benchmark, of a step's last two emulator frames every pixel is the brighter one.
    ``palette`` (256, 3) uint8 gets the colours that are seen.
    """
    ale, code = environment.ale, environment.actions[action]
    for _ in range(frame_skip - 2):
        ale.act(code)
    screens, greys = [], []
    for _ in range(2):
        ale.act(code)
        screens.append(ale.getScreen())
        greys.append(ale.getScreenGrayscale())
        palette[screens[-1]] = ale.getScreenRGB()
    return np.where(greys[0] >= greys[1], *screens), ale.getRAM()
