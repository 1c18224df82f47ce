"""Linear regression of each value as a number, in closed form, and how far it is off.

For each state variable, least squares with an L2 penalty from the features to its value. All
variables and all strengths of the penalty share one factorisation of the covariance; the strength
is chosen for each variable by its squared error in validation. Beside F1 of the rounded values, a
probe of this kind has R2, the mean absolute error, and the share of frames within 2 of the truth:
for positions of the label set ``calibrated`` in pixels, for others in the unit of their byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.probes.fitting import Features, check_part
from workflow_src.probes.least_squares import STRENGTHS, LeastSquares

NAME = "linear regression"
GRADIENT_DESCENT = False


@dataclass(frozen=True)
class RegressionProbes:
    """The fitted maps of V variables, which share centre and scale of the features."""

    mean: np.ndarray  # float64 (d,)
    scale: np.ndarray  # float64 (d,)
    weight: np.ndarray  # float64 (d, V)
    bias: np.ndarray  # float64 (V,)
    strength: np.ndarray  # float64 (V,)
    classes: int

    def estimate(self, values: np.ndarray) -> np.ndarray:
        """Each variable as a number: features (n, d) float32 -> (n, V) float64."""
        found = (values - self.mean) * self.scale @ self.weight + self.bias
        return np.clip(found, 0, self.classes - 1)

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The nearest whole value of each variable: features (n, d) float32 -> (n, V) int64."""
        return np.rint(self.estimate(values)).astype(np.int64)


def fit(
    train: Features,
    val: Features,
    settings: Probe,
    switches: ProbeProtocol,
    rng: np.random.Generator,
    device: torch.device,
    *,
    names: Sequence[str] | None = None,
    progress: bool = False,
) -> RegressionProbes:
    """Fit all variables at once; nothing is random, and every train frame counts once.

    Features are standardised by train. On the processor, in float64: fitting takes seconds.
    `UserError` as in `linear.fit` for labels and features.
    """
    check_part(train, settings, "train", 1)
    check_part(val, settings, "val", 1)
    squares = LeastSquares(train.values)
    targets = torch.from_numpy(train.labels.astype(np.float64))
    bias = targets.mean(0)
    products = squares.products(targets)
    rotated = squares.rotated(val.values)
    true = torch.from_numpy(val.labels.astype(np.float64))
    weights = torch.stack([squares.solve(products, strength) for strength in STRENGTHS])
    errors = ((rotated @ weights + bias - true) ** 2).mean(1)  # (strengths, V)
    best = errors.argmin(0)
    weight = squares.vectors @ weights[best, :, torch.arange(len(best))].T
    return RegressionProbes(
        squares.mean.numpy(),
        squares.scale.numpy(),
        weight.numpy(),
        bias.numpy(),
        STRENGTHS[best.numpy()],
        settings.classes,
    )
