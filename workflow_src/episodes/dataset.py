"""Frames by part of a split: what encoders learn from and probes read out.

The file of a split (made by the `splits` room, read here) is a file of arrays, one entry a row of
the frame store: ``part`` and ``reason`` (codes into the header's ``parts`` and ``reasons``),
``label_row`` (the row whose RAM labels the frame) and ``episode``. For the probe's frames the
header's ``variables`` says of each its entropy and whether it stays.
"""

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workflow_src import artifacts
from workflow_src.ari import labels as ari_labels
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError

KIND = "split"
DROPPED = "dropped"


@dataclass(frozen=True)
class Part:
    """A part of a split: n frames of E episodes, episode after episode."""

    rows: np.ndarray  # int64 (n,): rows of the store, ascending
    label_rows: np.ndarray  # int64 (n,): rows whose RAM labels each frame
    lengths: np.ndarray  # int64 (E,): frames an episode; they add up to n


@dataclass(frozen=True)
class Split:
    """A split as read from its file."""

    parts: dict[str, Part]
    variables: dict[str, dict[str, Any]]
    header: dict[str, Any]


def read_split(path: str | os.PathLike) -> Split:
    """Read the parts of a split; rows that went nowhere are left out."""
    arrays, header = artifacts.read_arrays(path, KIND)
    parts = {}
    for code, name in enumerate(header["parts"]):
        rows = np.flatnonzero(arrays["part"] == code)
        if name != DROPPED:
            lengths = np.unique(arrays["episode"][rows], return_counts=True)[1]
            parts[name] = Part(
                rows, arrays["label_row"][rows].astype(np.int64), lengths.astype(np.int64)
            )
    variables = header.get("variables", {})
    # In the order of the labels' columns again; JSON sorted them.
    order = ari_labels.variables(header["label_set"], header["game"]) if variables else {}
    return Split(parts, {name: variables[name] for name in order}, header)


def load_frames(store: FrameStore, rows: np.ndarray) -> np.ndarray:
    """The frames of ``rows``, (n,) ascending, in memory: (n, 210, 160) uint8."""
    return store.read(rows)


def check_pair(store: FrameStore, split: Split) -> None:
    """Refuse a split that was made of other frames than ``store`` holds."""
    if split.header["frames_sha256"] != store.sha256:
        raise UserError(
            f"the split was made from other frames than {store.path} holds: make the split again"
        )


def draw(
    lengths: np.ndarray, how: Literal["replacement", "permutation"], rng: np.random.Generator
) -> np.ndarray:
    """Positions of one epoch's frames in a part with episodes of ``lengths`` frames.

    Returns int64 (n,), n the sum of the lengths.

    ``permutation``: every frame once, in random order. ``replacement`` (the 2019 code, quirk Q7): n
    draws of an episode, all alike however long, and of a frame in it.
    """
    total = int(lengths.sum())
    if how == "permutation":
        return rng.permutation(total)
    episode = rng.integers(len(lengths), size=total)
    within = (rng.random(total) * lengths[episode]).astype(np.int64)
    return (np.cumsum(lengths) - lengths)[episode] + within


def stack_rows(rows: np.ndarray, first: np.ndarray, stack: int) -> np.ndarray:
    """The ``stack`` rows up to each of ``rows`` (n,), newest last: (n, stack).

    ``first`` (n,) is the first row of each one's episode, which stands in for what would be before
    it.
    """
    return np.maximum(rows[:, None] - np.arange(stack)[::-1], first[:, None])


def load_stacks(store: FrameStore, rows: np.ndarray, stack: int) -> np.ndarray:
    """The frames of ``rows`` (n,), ascending, stacked with those before them in their episodes.

    Returns (n, stack, 210, 160) uint8.

    An episode is one life, as stored, and whole: frames that a split dropped can stand in a stack.
    """
    first = np.searchsorted(store.episode, store.episode[rows])
    wanted = stack_rows(rows, first, stack)
    needed, where = np.unique(wanted, return_inverse=True)
    return store.read(needed)[where.reshape(wanted.shape)]
