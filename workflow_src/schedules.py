"""Early stopping and learning rate of several classifiers at once, each by its own accuracy."""

from dataclasses import dataclass

import numpy as np

# What torch's ReduceLROnPlateau has by default and the configuration does not name.
_PLATEAU_THRESHOLD, _PLATEAU_EPS = 1e-4, 1e-8


@dataclass(frozen=True)
class Limits:
    """When a classifier stops and lowers its rate, by its accuracy in validation."""

    patience: int  # epochs without a better one until it stops
    plateau_patience: int  # epochs without a better one before the rate is lowered
    plateau_factor: float  # what the rate is then multiplied by
    min_lr: float


class Schedule:
    """Early stopping and learning rate of A variables, each by its own validation accuracy.

    Stopping as in the 2019 code: an accuracy not above the best so far counts, and ``patience`` of
    them stop the variable. The rate as in torch.optim.lr_scheduler.ReduceLROnPlateau(mode="max"),
    which tracks its own best value.
    """

    def __init__(self, variables: int, lr: float, limits: Limits):
        self.limits = limits
        self.rate = np.full(variables, lr)
        self._best, self._plateau = np.full((2, variables), -np.inf)
        self._stale, self._bad = np.zeros((2, variables), np.int64)

    def step(self, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Update with an epoch's accuracies (A,).

        Returns which are the best so far and which variables stop, bool (A,).
        """
        better = accuracy > self._best
        self._best = np.maximum(self._best, accuracy)
        self._stale = np.where(better, 0, self._stale + 1)

        gain = accuracy > self._plateau * (1 + _PLATEAU_THRESHOLD)
        self._plateau = np.where(gain, accuracy, self._plateau)
        self._bad = np.where(gain, 0, self._bad + 1)
        due = self._bad > self.limits.plateau_patience
        lower = np.maximum(self.rate * self.limits.plateau_factor, self.limits.min_lr)
        self.rate = np.where(due & (self.rate - lower > _PLATEAU_EPS), lower, self.rate)
        self._bad[due] = 0
        return better, self._stale >= self.limits.patience

    def retain(self, which: np.ndarray) -> None:
        """Continue with the variables of the mask ``which`` (A,) only."""
        for name in ("rate", "_best", "_plateau", "_stale", "_bad"):
            setattr(self, name, getattr(self, name)[which])
