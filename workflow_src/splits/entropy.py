"""How much a state variable varies: the empirical entropy of its values."""

import numpy as np
import scipy.stats

VALUES = 256


def value_counts(labels: np.ndarray) -> np.ndarray:
    """How often each value occurs: labels (n, V) int64 -> (V, 256) int64."""
    variables = labels.shape[1]
    flat = (labels + VALUES * np.arange(variables)).ravel()
    return np.bincount(flat, minlength=VALUES * variables).reshape(variables, VALUES)


def entropies(labels: np.ndarray) -> np.ndarray:
    """Entropy of each variable in nats: labels (n, V) int64 -> (V,) float64."""
    return scipy.stats.entropy(value_counts(labels), axis=1)
