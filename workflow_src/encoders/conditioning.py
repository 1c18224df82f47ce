"""The scale of features, and affine maps that change it without labels.

Gradient descent reads large and independent features faster than small and correlated ones, so what
a probe finds within its epochs depends on the scale and the covariance of a representation, not
only on what it holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

Features = Literal["standardised", "whitened"]
# Directions with less than this share of the largest deviation are not blown up to 1.
_FLOOR = 1e-3
# The eigenvalues of more features than these take minutes.
_MOST = 4096


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and covariance (d, d) of features, or variances (d,) alone, float64."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, chunks: Iterable[np.ndarray], joint: bool) -> "Moments":
        """Of features (n, d) that come in pieces; ``joint``: whether covariances are wanted."""
        count, total, products, origin = 0, np.zeros(1), np.zeros(1), None
        for chunk in chunks:
            values = chunk.astype(np.float64)
            # About the first piece's mean, near which squares lose no digits.
            origin = values.mean(0) if origin is None else origin
            values -= origin
            count += len(values)
            total = total + values.sum(0)
            squares = values.T @ values if joint else np.einsum("nd,nd->d", values, values)
            products = products + squares
        assert origin is not None, "no features"
        mean = total / count
        return cls(origin + mean, products / count - (np.outer(mean, mean) if joint else mean**2))

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation of each feature, (d,)."""
        variance = np.diag(self.covariance) if self.covariance.ndim == 2 else self.covariance
        return np.sqrt(np.maximum(variance, 0))

    def map(self, features: Features) -> np.ndarray:
        """What features minus their mean are multiplied by: (d,) or, whitened, (d, d)."""
        if features == "standardised":
            deviation = self.deviation
            return 1 / np.maximum(deviation, _FLOOR * (deviation.max() or 1))
        values, vectors = np.linalg.eigh(self.covariance)
        deviation = np.sqrt(np.maximum(values, 0))
        # An eigenvector has no sign of its own: its largest entry is made positive.
        largest = np.abs(vectors).argmax(0)
        vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])
        return vectors / np.maximum(deviation, _FLOOR * (deviation.max() or 1))


class Conditioned(nn.Module):
    """An encoder followed by an affine map of its features, which is no part of training."""

    def __init__(self, encoder: nn.Module, mean: torch.Tensor, scale: torch.Tensor):
        """``mean`` (d,); ``scale`` (d,), or (d, d) for a product from the right."""
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames as the encoder takes them -> features (N, d), float32."""
        centred = self.encoder(frames).float() - self.mean
        return centred * self.scale if self.scale.ndim == 1 else centred @ self.scale


def describe(values: np.ndarray) -> dict[str, Any]:
    """The conditioning of features (n, d).

    ``mean`` and ``deviation``: root mean squares over features of their means and deviations.
    ``effective_rank``: exp of the entropy of the covariance's spectrum (Roy and Vetterli 2007), of
    at most d; None for more than 4,096 features.
    """
    joint = values.shape[1] <= _MOST
    chunks = np.array_split(values, max(1, len(values) // 4096))
    moments = Moments.of(chunks, joint)
    found: dict[str, Any] = {
        "size": values.shape[1],
        "mean": _rounded(np.sqrt(np.mean(moments.mean**2))),
        "deviation": _rounded(np.sqrt(np.mean(moments.deviation**2))),
        "effective_rank": None,
    }
    if joint:
        spectrum = np.maximum(np.linalg.eigvalsh(moments.covariance), 0)
        share = spectrum[spectrum > 0] / (spectrum.sum() or 1)
        found["effective_rank"] = _rounded(np.exp(-(share * np.log(share)).sum()))
    return found


def _rounded(value: float) -> float:
    """To six digits, which no number of threads changes."""
    return float(f"{value:.6g}")
