"""What an annotated variable is worth: `constant`, `suspicious` with the reason, or `alive`.

A variable is what its name claims and what its byte was measured to do. The rules know names and
measurements, never a game. A rule concerns some names, and calls a variable suspicious when:

- lives (names with ``lives`` or ``lifes``, where the emulator's lives change): the byte tells less
  than 0.9 of them;
- not lives (other names, where the lives change): byte and lives are functions of each other;
- score (names with ``score``): fewer than half of its changes come with a reward;
- direction (names of a direction alone): its values are not 2, 4, 8, 16 or one more (none), or
  differ in over 4 bits;
- existence (names with ``existence``): it has more than two values;
- axis (names of a position on one axis): writing moves things along the other axis, not its own;
- unseen (all names): writing changes no pixel, and frames do not show it.

Rules on values look at the usual ones: the fewest that make up 99 % of frames. A byte with a single
value is `constant`, whatever its name claims. Every rule that holds gives a reason; a variable
without any is `alive`, which says no more than that nothing speaks against it.
"""

import math
from typing import NamedTuple

import numpy as np

from workflow_src.ari.labels import categories

ALIVE, CONSTANT, SUSPICIOUS = "alive", "constant", "suspicious"
VERDICTS = (ALIVE, SUSPICIOUS, CONSTANT)

USUAL = 0.99
DIRECTIONS, DIRECTION_BITS = {2, 3, 4, 5, 8, 9, 16, 17}, 4
KNOWS, SAME = 0.9, 0.99
REWARDED = 0.5
# R² from which on frames show a byte.
SHOWN = 0.2
# Spearman's correlation from which on things go along an axis, and under which they do not.
ALONG, NOT_ALONG = 0.9, 0.5


class Byte(NamedTuple):
    """The measurements of one RAM byte by `audit.measure`; NaN where nothing was measurable."""

    counts: np.ndarray  # (256,), how often it had each value
    knows_lives: float
    lives_know: float
    with_rewards: float
    pixels: float
    overwritten: float
    moves_x: float
    moves_y: float
    readable: float


def usual_values(counts: np.ndarray) -> np.ndarray:
    """The fewest values that make up 99 % of ``counts`` (256,), the most frequent first."""
    order = np.argsort(-counts, kind="stable")
    return order[: int(np.searchsorted(np.cumsum(counts[order]), USUAL * counts.sum())) + 1]


def verdict(variable: str, byte: Byte) -> tuple[str, str]:
    """The verdict on a variable and, unless it is alive, the reasons, joined by semicolons."""
    values = np.flatnonzero(byte.counts)
    if len(values) == 1:
        return CONSTANT, f"{values[0]} in every frame"
    reasons = [reason for rule in RULES if (reason := rule(variable, byte))]
    return (SUSPICIOUS, "; ".join(reasons)) if reasons else (ALIVE, "")


def _lives(variable: str, byte: Byte) -> str | None:
    if ("lives" in variable or "lifes" in variable) and byte.knows_lives < KNOWS:
        return f"does not follow the lives: it knows {byte.knows_lives:.2f} of them"
    return None


def _not_lives(variable: str, byte: Byte) -> str | None:
    same = byte.knows_lives >= SAME and byte.lives_know >= SAME
    if "lives" not in variable and "lifes" not in variable and same:
        return "is a copy of the lives: each determines the other"
    return None


def _score(variable: str, byte: Byte) -> str | None:
    if "score" in variable and byte.with_rewards < REWARDED:
        return f"does not follow the rewards: {byte.with_rewards:.2f} of its changes come with one"
    return None


def _direction(variable: str, byte: Byte) -> str | None:
    if "direction" not in variable or len(categories(variable)) > 1:
        return None
    usual = usual_values(byte.counts)
    bits = int(np.bitwise_or.reduce(usual ^ usual[0])).bit_count()
    if len(usual) == 1 or (len(usual) in DIRECTIONS and bits <= DIRECTION_BITS):
        return None
    return (
        f"takes {_values(byte)} that differ in {bits} bits: "
        f"directions are 2, 4, 8, 16 or one more, in {DIRECTION_BITS} bits"
    )


def _existence(variable: str, byte: Byte) -> str | None:
    if "existence" in variable and len(usual_values(byte.counts)) > 2:
        return f"takes {_values(byte)}: existence is binary"
    return None


def _values(byte: Byte) -> str:
    usual = len(usual_values(byte.counts))
    return f"{np.count_nonzero(byte.counts)} values ({usual} make up {USUAL:.0%})"


def _axis(variable: str, byte: Byte) -> str | None:
    axes = [axis for axis in "xy" if f"_{axis}" in variable]
    if len(axes) != 1:
        return None
    own, other = (byte.moves_x, byte.moves_y) if axes == ["x"] else (byte.moves_y, byte.moves_x)
    if abs(own) < NOT_ALONG and abs(other) >= ALONG:
        return f"moves things along the other axis: {other:+.2f}, along its own {own:+.2f}"
    return None


def _unseen(variable: str, byte: Byte) -> str | None:
    if byte.pixels > 0 or byte.readable >= SHOWN:
        return None
    shown = (
        "tell nothing" if math.isnan(byte.readable) else f"do not show it (R² {byte.readable:.2f})"
    )
    written = "the game overwrites it" if byte.overwritten >= 0.5 else "writing it changes no pixel"
    usual = byte.counts.max() / byte.counts.sum()
    rare = f"; {usual:.1%} of frames have one value" if usual >= USUAL else ""
    return f"{written} and frames {shown}{rare}"


RULES = (_lives, _not_lives, _score, _direction, _existence, _axis, _unseen)
