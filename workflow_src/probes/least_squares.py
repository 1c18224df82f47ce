"""Least squares with an L2 penalty for many targets and many strengths, by one factorisation."""

import numpy as np
import torch

# Strengths of the penalty, in shares of the mean variance of the features, the strongest first.
STRENGTHS = np.logspace(1, -7, 17)


class LeastSquares:
    """Features (n, d) float32, standardised, and the eigenvectors of their covariance.

    On the processor, in float64 where it decides.
    """

    def __init__(self, values: np.ndarray):
        x = torch.from_numpy(values).double()
        self.mean = x.mean(0)
        deviation = x.std(0, correction=0)
        # What does not vary stays at zero.
        self.scale = torch.where(deviation > 1e-6 * deviation.max(), 1 / deviation, 0.0)
        self._x = (x - self.mean) * self.scale
        self._spectrum, self.vectors = torch.linalg.eigh(self._x.T @ self._x / len(x))

    def products(self, targets: torch.Tensor) -> torch.Tensor:
        """What `solve` needs of targets (n, columns) float64: (d, columns)."""
        return self.vectors.T @ (self._x.T @ targets) / len(self._x)

    def rotated(self, values: np.ndarray) -> torch.Tensor:
        """Standardised features on the eigenvectors: (n, d) float32 -> float64."""
        return (torch.from_numpy(values).double() - self.mean) * self.scale @ self.vectors

    def solve(self, products: torch.Tensor, strength: float) -> torch.Tensor:
        """Weights (d, columns) of rotated features, without the bias, which is the targets' mean.

        ``strength``: of the penalty, in shares of the mean variance.
        """
        penalty = strength * float(self._spectrum.mean())
        return products / (self._spectrum + penalty)[:, None]
