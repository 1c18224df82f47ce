"""Profiles: hand-made features, no network. What place codes can hold at best, and a floor for all.

The project's own. Counts of pixels by gray level, column and row (`encoders.places`), standardised,
and a linear map to whitened features. With ``slow: false`` they are the principal components with
the largest variance; with ``slow: true`` directions between these and those of slow feature
analysis (Wiskott and Sejnowski 2002): a score that changes seldom counts for more than its few
pixels, and what flickers for less. An encoder that reads worse has learned less than counting
pixels gives.
"""

from collections.abc import Iterator

import numpy as np
import scipy.linalg
import torch

from workflow_src.config.methods import Method
from workflow_src.encoders import places
from workflow_src.encoders.conditioning import Moments
from workflow_src.errors import UserError
from workflow_src.training.objective import EpisodeIndex, Objective, method

OPTIONS = {"slow": False}
LEARNS_FROM = None
READS = "pretrain"
ENCODER = {"encoder": "profiles"}
_CHUNK = 4096
# Directions with less than this share of the largest deviation have no speed worth measuring.
_FLOOR = 1e-3


@method("profiles")
class ProfilesAlone(Objective):
    """Principal components of profiles, or slow ones."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        self.slow = settings.resolved_options["slow"]

    @torch.no_grad()
    def prepare(self, frames: torch.Tensor, train: EpisodeIndex) -> None:
        """Measure backgrounds, levels and the linear map."""
        encoder = self.encoder.to(frames.device)
        found = places.standardised(encoder.profiles, frames, train.rows)
        rows = torch.from_numpy(train.rows).to(frames.device)

        def chunks(rows: torch.Tensor) -> Iterator[np.ndarray]:
            return (found.values(part).cpu().numpy() for part in rows.split(_CHUNK))

        moments = Moments.of(chunks(rows), joint=True)
        if self.slow:
            # The last frame of an episode has none after it.
            followed = np.delete(train.rows, np.cumsum(train.lengths) - 1)
            before = torch.from_numpy(followed).to(rows.device)
            if not len(before):
                raise UserError(
                    "no frame has one after it: slow profiles need episodes of at least two frames"
                )
            pairs = zip(chunks(before + 1), chunks(before), strict=True)
            changes = Moments.of((after - first for after, first in pairs), joint=True)
            whitening = _slow(moments.covariance, changes.covariance, encoder.feature_size)
        else:
            # The largest last, as `eigh` has them.
            whitening = moments.map("whitened")[:, ::-1][:, : encoder.feature_size]
        weight = torch.from_numpy(whitening.astype(np.float32)).to(found.scale)
        encoder.mean[found.kept] = found.mean
        encoder.weight[found.kept, : weight.shape[1]] = weight * found.scale[:, None]


def _slow(covariance: np.ndarray, changes: np.ndarray, size: int) -> np.ndarray:
    """Whitened directions (d, at most ``size``) of features that vary much and change slowly.

    They maximise v' M v / v' C^1/2 v, one after the other, where C (d, d) is the features'
    ``covariance`` and M = C - ``changes`` / 4 that of the mean of two consecutive frames,
    ``changes`` the covariance of their differences. Divided by v' C v it would be slow feature
    analysis, which prefers what hardly varies at all; by v' v, variance.
    """
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _FLOOR**2 * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    root = values**0.25
    lasting = vectors.T @ (covariance - changes / 4) @ vectors / np.outer(root, root)
    first = max(0, len(values) - size)
    _, best = scipy.linalg.eigh(lasting, subset_by_index=[first, len(values) - 1])
    # Orthogonal where features are white: uncorrelated, and of deviation 1.
    white, _ = np.linalg.qr(root[:, None] * best[:, ::-1])
    found = vectors / np.sqrt(values) @ white
    # A direction has no sign of its own: its largest entry is made positive.
    return found * np.sign(found[np.abs(found).argmax(0), np.arange(found.shape[1])])
