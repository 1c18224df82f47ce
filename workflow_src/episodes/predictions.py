"""What a probe reads in one test episode, frame by frame, for an animation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src import artifacts
from workflow_src.episodes.dataset import Part

KIND = "predictions"
FRAMES = 120


def clip(lengths: np.ndarray) -> slice:
    """The first ``FRAMES`` frames of the first episode that has as many, or of the longest."""
    episode = int(np.argmax(np.minimum(lengths, FRAMES)))
    start = int(lengths[:episode].sum())
    return slice(start, start + int(min(lengths[episode], FRAMES)))


def write(
    path: Path,
    test: Part,
    names: Sequence[str],
    labels: np.ndarray,
    predicted: np.ndarray,
    header: Mapping[str, Any],
) -> None:
    """Write ``rows`` (T,) of the frame store, and ``labels`` and ``predicted`` (V, T) uint8.

    ``labels`` and ``predicted`` are (n, V), of all frames of ``test``.
    """
    shown = clip(test.lengths)
    arrays = {
        "rows": test.rows[shown],
        "labels": labels[shown].T.astype(np.uint8),
        "predicted": np.asarray(predicted)[shown].T.astype(np.uint8),
    }
    artifacts.write_arrays(path, KIND, arrays, {**header, "variables": list(names)})
