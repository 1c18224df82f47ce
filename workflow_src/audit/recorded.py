"""What recorded frames say about a RAM byte: changes, lives, rewards, visibility.

Pure functions on the columns of a frame store. A change is one between two records that follow each
other in a game: the jump to the next game says nothing of what changes a byte.
"""

import numpy as np
import scipy.stats
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

VALUES = 256
# Games show a new score, or count it, up to so many steps after the reward, or before it.
NEAR = 1
# The coarse frames from which bytes are read: means of squares of so many pixels, and of rows and
# columns.
COARSE = 10
# As many frames as reading needs: more are passed over, at even distances.
READ = 12000
# The share of frames, the last, that reading is judged by: the games of other emulators than those
# learned from.
HELD_OUT = 0.25
_COMPONENTS, _ALPHA = 600, 1.0


def value_counts(values: np.ndarray) -> np.ndarray:
    """How often each value occurs: (n, B) uint8 -> (B, 256) int64."""
    n_bytes = values.shape[1]
    flat = (values + VALUES * np.arange(n_bytes)).ravel()
    return np.bincount(flat, minlength=VALUES * n_bytes).reshape(n_bytes, VALUES)


def entropies(counts: np.ndarray) -> np.ndarray:
    """Entropy of each row of counts (B, 256) in nats: (B,) float64."""
    return scipy.stats.entropy(counts, axis=1)


def changes(values: np.ndarray, game: np.ndarray) -> np.ndarray:
    """Where a byte differs from the record before it in the same game.

    Values (n, B) uint8 and games (n,) -> (n, B) bool; row 0 is False.
    """
    found = np.zeros(values.shape, bool)
    found[1:] = (values[1:] != values[:-1]) & (game[1:] == game[:-1])[:, None]
    return found


def near(events: np.ndarray, steps: int = NEAR) -> np.ndarray:
    """Where an event is at most ``steps`` records away: (n,) bool -> (n,) bool."""
    return np.convolve(events, np.ones(2 * steps + 1), mode="same")[: len(events)] > 0.5


def share(among: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The share of records in ``among`` that are also in ``where``.

    Both bool, (n, B), ``where`` also (n,) -> (B,) float64; NaN without any record.
    """
    where = where if where.ndim == 2 else where[:, None]
    total = among.sum(axis=0)
    return np.divide(
        (among & where).sum(axis=0), total, out=np.full(among.shape[1], np.nan), where=total > 0
    )


def known(values: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each byte of ``values`` (n, B) tells about ``target`` (n,), and the reverse.

    Each (B,) in 0..1, the mutual information over the entropy of what is known: 1 where it is a
    function of the other, 0 where they are independent, NaN where it is constant.
    """
    found = np.full((2, values.shape[1]), np.nan)
    for b, column in enumerate(values.T):
        joint = np.bincount(column.astype(np.int64) * VALUES + target, minlength=VALUES**2).reshape(
            VALUES, VALUES
        )
        of_byte, of_target, of_both = (
            scipy.stats.entropy(p) for p in (joint.sum(axis=1), joint.sum(axis=0), joint.ravel())
        )
        for row, entropy in enumerate((of_target, of_byte)):
            if entropy > 0:
                found[row, b] = np.clip((of_byte + of_target - of_both) / entropy, 0, 1)
    return found[0], found[1]


def coarse(frames: np.ndarray) -> np.ndarray:
    """Means of 10 x 10 squares, of rows and of columns.

    Frames (n, 210, 160) uint8 -> (n, 336 + 210 + 160) float32.
    """
    n, height, width = frames.shape
    # Bands of rows first, as whole vectors of 160 pixels: three times as fast as both axes at once.
    bands = frames.reshape(n, height // COARSE, COARSE, width).sum(
        axis=2, dtype=np.uint16
    ) / np.float32(COARSE)
    squares = bands.reshape(n, height // COARSE, width // COARSE, COARSE).mean(axis=3)
    return np.hstack(
        [squares.reshape(n, -1), frames.mean(axis=2, dtype=np.float32), bands.mean(axis=1)]
    )


def readable(seen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How well each byte can be predicted from coarse frames: R² on the last quarter.

    Features (n, F) float32, values (n, B) uint8 -> (B,) float64.

    A ridge regression on kernel features (Nyström), of all bytes at once. NaN where a byte is
    constant in either part: there is nothing to read. Never below -1. In float64 and rounded to
    four digits: the last digits depend on how many threads sum, and on the processor.
    """
    seen = seen.astype(np.float64)
    learned = int(len(seen) * (1 - HELD_OUT))
    truth, held = values[:learned].astype(np.float64), values[learned:].astype(np.float64)
    some = (
        (np.ptp(truth, axis=0) > 0) & (np.ptp(held, axis=0) > 0)
        if 0 < learned < len(seen)
        else np.zeros(values.shape[1], bool)
    )
    found = np.full(values.shape[1], np.nan)
    if not some.any():
        return found
    scale = truth[:, some].std(axis=0)
    kernel = Nystroem(
        gamma=0.5 / seen.shape[1], n_components=min(_COMPONENTS, learned), random_state=0
    )
    reader = make_pipeline(StandardScaler(), kernel, Ridge(_ALPHA))
    reader.fit(seen[:learned], truth[:, some] / scale)
    error = (reader.predict(seen[learned:]) * scale - held[:, some]) ** 2
    found[some] = np.maximum(1 - error.mean(axis=0) / held[:, some].var(axis=0), -1).round(4)
    return found
