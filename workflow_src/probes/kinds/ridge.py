"""Ridge regression of each value as one of the classes, in closed form: a probe that has converged.

For each state variable, least squares with an L2 penalty from the features to a column for each
class that it has in train, 1 where the frame has it; the prediction is the class with the highest
value. All variables and all strengths of the penalty share one factorisation of the covariance. The
strength is chosen for each variable by its accuracy in validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.probes.fitting import Features, check_part
from workflow_src.probes.least_squares import STRENGTHS, LeastSquares

NAME = "ridge regression"
GRADIENT_DESCENT = False
_CHUNK = 4096


@dataclass(frozen=True)
class RidgeProbes:
    """The fitted maps of V variables, which share centre and scale of the features."""

    mean: torch.Tensor  # float32 (d,)
    scale: torch.Tensor  # float32 (d,)
    weight: torch.Tensor  # float32 (d, columns)
    bias: torch.Tensor  # float32 (columns,)
    classes: np.ndarray  # int64 (columns,): the class of each column
    borders: np.ndarray  # int64 (V + 1,): the columns of each variable
    strength: np.ndarray  # float64 (V,)

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The most likely value of each variable: features (n, d) float32 -> (n, V) int64."""
        x = (torch.from_numpy(values) - self.mean) * self.scale
        found = [
            _highest(chunk @ self.weight + self.bias, self.borders) for chunk in x.split(_CHUNK)
        ]
        return self.classes[torch.cat(found).numpy()]


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
) -> RidgeProbes:
    """Fit all variables at once; nothing is random, and every train frame counts once.

    Features are standardised by train. On the processor, in float64 where it decides: fitting takes
    seconds. `UserError` as in `linear.fit` for labels and features.
    """
    check_part(train, settings, "train", 1)
    check_part(val, settings, "val", 1)
    squares = LeastSquares(train.values)
    columns = [np.unique(labels) for labels in train.labels.T]
    borders = np.cumsum([0, *map(len, columns)])
    classes = np.concatenate(columns).astype(np.int64)
    targets = torch.cat(
        [
            torch.from_numpy(labels[:, None] == known).double()
            for labels, known in zip(train.labels.T, columns, strict=True)
        ],
        dim=1,
    )
    bias = targets.mean(0)
    # Of rotated features on the columns, whose own means the bias is.
    products = squares.products(targets)
    del targets
    rotated = squares.rotated(val.values).float()
    best = np.full(len(columns), -1.0)
    strength = np.zeros(len(columns))
    weight = torch.zeros(products.shape, dtype=torch.float32)
    for share in STRENGTHS:
        solved = squares.solve(products, share)
        found = _highest(rotated @ solved.float() + bias.float(), borders)
        accuracy = (classes[found.numpy()] == val.labels).mean(0)
        for v in np.flatnonzero(accuracy > best):
            part = slice(borders[v], borders[v + 1])
            weight[:, part] = (squares.vectors @ solved[:, part]).float()
            best[v], strength[v] = accuracy[v], share
    tensors = (squares.mean.float(), squares.scale.float(), weight, bias.float())
    return RidgeProbes(*tensors, classes, borders, strength)


def _highest(scores: torch.Tensor, borders: np.ndarray) -> torch.Tensor:
    """The column with the highest score of each variable: (n, columns) -> (n, V) int64."""
    parts = scores.split(np.diff(borders).tolist(), dim=1)
    found = [part.argmax(1) + int(at) for part, at in zip(parts, borders, strict=False)]
    return torch.stack(found, dim=1)
