"""Profiles: hand-made features, no network. What place codes can hold at best, and a floor for all.

The project's own. Counts of pixels by gray level, column and row (`encoders.places`), standardised;
the principal components with the largest variance, whitened, are the features. An encoder that
reads worse than this has learned less than counting pixels gives.
"""

import numpy as np
import torch

from workflow_src.encoders import places
from workflow_src.encoders.conditioning import Moments
from workflow_src.methods.rrr import nothing_moves
from workflow_src.training.objective import EpisodeIndex, Objective, method

LEARNS_FROM = None
READS = "pretrain"
ENCODER = {"encoder": "profiles"}
_CHUNK = 4096


@method("profiles")
class ProfilesAlone(Objective):
    """Principal components of profiles."""

    @torch.no_grad()
    def prepare(self, frames: torch.Tensor, train: EpisodeIndex) -> None:
        """Measure backgrounds, levels and principal components."""
        encoder = self.encoder.to(frames.device)
        encoder.profiles.measure(frames, train.rows)
        rows = torch.from_numpy(train.rows).to(frames.device)
        counts = places.in_pieces(encoder.profiles, frames)[rows]
        mean, scale = places.standardisation(counts)
        kept = (scale > 0).cpu().numpy()
        if not kept.any():
            raise nothing_moves(len(counts))
        chunks = (
            ((chunk.float().sqrt() - mean) * scale).cpu().numpy()[:, kept]
            for chunk in counts.split(_CHUNK)
        )
        moments = Moments.of(chunks, joint=True)
        # The largest last, as `eigh` has them.
        whitening = moments.map("whitened")[:, ::-1][:, : encoder.feature_size]
        encoder.mean.copy_(mean)
        weight = np.zeros((len(kept), encoder.feature_size), np.float32)
        weight[kept, : whitening.shape[1]] = whitening
        encoder.weight.copy_(torch.from_numpy(weight).to(scale) * scale[:, None])
