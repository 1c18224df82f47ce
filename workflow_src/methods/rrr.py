"""RRR: one linear layer on an untrained trunk, fitted in closed form to predict place codes.

The project's own. Reduced-rank regression (Izenman 1975): of all maps of rank d from the last
convolution's values X to the codes Y (`encoders.places`), the one with the least squared error,
with a ridge. Its first factor becomes the encoder's last layer. X is standardised, and so are
profiles and the patches' indicators in Y. In its coordinates the features are uncorrelated, of
deviation nearly 1, and in the order of what they explain. Seconds instead of hours, no gradient.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F

from workflow_src.config.methods import Method
from workflow_src.encoders import channels_last, places
from workflow_src.errors import UserError
from workflow_src.training.objective import EpisodeIndex, Objective, method

LEARNS_FROM = None
READS = "pretrain"
# ``ridge``: of X'X / n, whose diagonal is 1. ``patches``: the weight of their indicators.
OPTIONS = {"ridge": 0.01, "patches": 0.3}
_BATCH = 64
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
        """Fit the last layer; memory: 4 bytes for each value of the last convolution."""
        targets = [profiles_of(frames, train).values]
        targets.append(self.options["patches"] * _indicators(frames, train))
        encoder: Any = channels_last(self.encoder.to(frames.device))
        stacks = torch.from_numpy(train.stacks(self.stack)).to(frames.device)
        values = torch.cat(
            [encoder.hidden(frames[batch])[0].float() for batch in stacks.split(_BATCH)]
        )
        mean, deviation = values.mean(0), values.std(0)
        scale = 1 / deviation.clamp_min(_FLOOR * deviation.max())
        values.sub_(mean).mul_(scale)
        gram = (values.T @ values / len(values)).double().cpu().numpy()
        cross = (values.T @ torch.cat(targets, 1) / len(values)).double().cpu().numpy()
        factor = _first_factor(gram, cross, self.options["ridge"], encoder.feature_size)
        weight = torch.from_numpy(factor).to(values) * scale[:, None]
        last = encoder.head[-1]
        last.weight.copy_(weight.T)
        last.bias.copy_(-mean @ weight)


class Standardised(NamedTuple):
    """Profiles of the train part, standardised, and what made them so; kept are those that vary."""

    values: torch.Tensor  # float32 (n, kept)
    mean: torch.Tensor  # (kept,) of the counts' square roots
    scale: torch.Tensor  # (kept,)
    codes: torch.Tensor  # uint8 (frames, kept): counts of all frames


def profiles_of(frames: torch.Tensor, train: EpisodeIndex) -> Standardised:
    """Measure profiles on the train part of ``frames``, uint8 (frames, 210, 160)."""
    profiles = places.Profiles()
    profiles.measure(frames, train.rows)
    codes = places.in_pieces(profiles, frames)
    counts = codes[torch.from_numpy(train.rows).to(frames.device)]
    mean, scale = places.standardisation(counts)
    kept = scale.nonzero().flatten()
    if not len(kept):
        raise nothing_moves(len(counts))
    mean, scale = mean[kept], scale[kept]
    values = (counts[:, kept].float().sqrt_() - mean) * scale
    return Standardised(values, mean, scale, codes[:, kept])


def nothing_moves(count: int) -> UserError:
    """What is said where ``count`` frames have no profiles."""
    return UserError(
        f"nothing moves before its background in {count} frames: place codes need frames of a "
        "game at play"
    )


def _indicators(frames: torch.Tensor, train: EpisodeIndex) -> torch.Tensor:
    """Which patch of the codebooks is where: (n, indicators that vary) float32, standardised."""
    codebooks = places.Codebooks()
    codebooks.measure(frames, train.rows)
    rows = torch.from_numpy(train.rows).to(frames.device)
    found = F.one_hot(places.in_pieces(codebooks, frames)[rows].long(), places.CODES).flatten(1)
    share = found.sum(0).double().div(len(rows)).float()
    varies = (share > 0) & (share < 1)
    deviation = share[varies].clamp_min(_RAREST).sqrt()
    return (found[:, varies] - share[varies]) / deviation


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
