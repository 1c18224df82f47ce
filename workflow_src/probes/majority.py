"""Maj-clf: the most frequent train value of each variable (arXiv 1906.08226, section 5.1)."""

import numpy as np

from workflow_src.probes.metrics import count


def majority(labels: np.ndarray, classes: int = 256) -> np.ndarray:
    """The most frequent value of each variable, the smallest of several: (n, V) -> int64 (V,)."""
    return count(labels, classes).argmax(
        axis=1
    )  # argmax gives the first, which is the smallest value
