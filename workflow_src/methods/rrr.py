"""RRR: one linear layer on an untrained trunk, fitted in closed form to predict place codes.

The project's own. Reduced-rank regression (Izenman 1975): of all maps of rank d from the last
convolution's values X to the codes Y (`encoders.places`), the one with the least squared error,
with a ridge. Its first factor becomes the encoder's last layer. X is standardised, and so are
profiles and the patches' indicators in Y. In its coordinates the features are uncorrelated, of
deviation nearly 1, and in the order of what they explain. Seconds instead of hours, no gradient.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import torch

from workflow_src.config.methods import Method
from workflow_src.encoders import channels_last, places
from workflow_src.training.objective import EpisodeIndex, Objective, method

LEARNS_FROM = None
READS = "pretrain"
# ``ridge``: of X'X / n, whose diagonal is 1. ``patches``: the weight of their indicators.
OPTIONS = {"ridge": 0.01, "patches": 0.3}
_BATCH, _CHUNK = 64, 1024  # frames that the trunk takes at once, and that are summed at once
_FLOOR = 1e-3  # of the largest deviation of X
_RAREST = 0.01  # share that a patch's indicator is standardised with, at least


@method("rrr")
class ReducedRank(Objective):
    """An untrained trunk and a linear layer in closed form."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        self.options, self.stack = settings.resolved_options, settings.frame_stack

    @torch.no_grad()
    def prepare(self, frames: torch.Tensor, train: EpisodeIndex) -> None:
        """Fit the last layer. Memory: the codes, 4 KB a frame, and the squares of the trunk."""
        profiles = places.standardised(places.Profiles(), frames, train.rows)
        indicators = _indicators(frames, train)
        encoder: Any = channels_last(self.encoder.to(frames.device))
        rows = torch.from_numpy(train.rows).to(frames.device)
        stacks = torch.from_numpy(train.stacks(self.stack)).to(frames.device)
        size, count = encoder.hidden_size, len(rows)
        origin: torch.Tensor | None = None
        gram = torch.zeros(size, size, dtype=torch.float64, device=frames.device)
        total, cross, outcome = gram[0].clone(), torch.zeros(()), torch.zeros(())
        for part in torch.arange(count, device=frames.device).split(_CHUNK):
            values = torch.cat(
                [encoder.hidden(frames[batch])[0].float() for batch in stacks[part].split(_BATCH)]
            )
            # About the first piece's mean, near which squares lose no digits.
            origin = values.mean(0) if origin is None else origin
            values -= origin
            targets = torch.cat(
                [profiles.values(rows[part]), self.options["patches"] * indicators(part)], 1
            )
            gram += values.T @ values
            total += values.sum(0)
            cross = cross + (values.T @ targets).double()
            outcome = outcome + targets.sum(0).double()
        assert origin is not None
        mean = total / count
        covariance = gram / count - torch.outer(mean, mean)
        deviation = covariance.diagonal().clamp_min(0).sqrt()
        scale = 1 / deviation.clamp_min(_FLOOR * deviation.max())
        factor = _first_factor(
            (covariance * torch.outer(scale, scale)).cpu().numpy(),
            ((cross / count - torch.outer(mean, outcome / count)) * scale[:, None]).cpu().numpy(),
            self.options["ridge"],
            encoder.feature_size,
        )
        weight = torch.from_numpy(factor).to(scale) * scale[:, None]
        last = encoder.head[-1]
        last.weight.copy_(weight.T)
        last.bias.copy_(-(origin.double() + mean) @ weight)


def _indicators(
    frames: torch.Tensor, train: EpisodeIndex
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Which patch of the codebooks is where, standardised: of frames of the train part.

    By their number in it, (n,), gives (n, indicators that vary) float32.
    """
    codebooks = places.Codebooks()
    codebooks.measure(frames, train.rows)
    rows = torch.from_numpy(train.rows).to(frames.device)
    codes = places.in_pieces(codebooks, frames)[rows]
    share = (places.counted(codes) / len(rows)).flatten().float()
    varies = ((share > 0) & (share < 1)).nonzero().flatten()
    share = share[varies]
    deviation = share.clamp_min(_RAREST).sqrt()
    # Place and code of each indicator.
    place, code = varies // places.CODES, (varies % places.CODES).to(torch.uint8)

    def of(part: torch.Tensor) -> torch.Tensor:
        return ((codes[part][:, place] == code).float() - share) / deviation

    return of


def _first_factor(gram: np.ndarray, cross: np.ndarray, ridge: float, rank: int) -> np.ndarray:
    """A (p, rank) of the map A B that predicts Y best, X A uncorrelated, best first.

    ``gram``: X'X / n (p, p); ``cross``: X'Y / n (p, q).
    """
    size = len(gram)
    lower = np.linalg.cholesky(gram + ridge * np.eye(size))
    seen = scipy.linalg.solve_triangular(lower, cross, lower=True)
    _, vectors = scipy.linalg.eigh(seen @ seen.T, subset_by_index=[max(0, size - rank), size - 1])
    vectors = vectors[:, ::-1]
    # An eigenvector has no sign of its own: its largest entry is made positive.
    largest = np.abs(vectors).argmax(0)
    vectors = vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
    factor = scipy.linalg.solve_triangular(lower.T, vectors, lower=False)
    return np.pad(factor, [(0, 0), (0, rank - factor.shape[1])])
