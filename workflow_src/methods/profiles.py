"""Profiles: hand-made features, no network. What place codes can hold at best, and a floor for all.

The project's own. Counts of pixels by gray level, column and row (`encoders.places`), standardised;
the principal components with the largest variance, whitened, are the features. An encoder that
reads worse than this has learned less than counting pixels gives.
"""

import numpy as np
import torch

from workflow_src.encoders import places
from workflow_src.encoders.conditioning import Moments
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
        found = places.standardised(encoder.profiles, frames, train.rows)
        rows = torch.from_numpy(train.rows).to(frames.device)
        chunks = (found.values(part).cpu().numpy() for part in rows.split(_CHUNK))
        moments = Moments.of(chunks, joint=True)
        # The largest last, as `eigh` has them.
        whitening = moments.map("whitened")[:, ::-1][:, : encoder.feature_size]
        weight = torch.from_numpy(whitening.astype(np.float32)).to(found.scale)
        encoder.mean[found.kept] = found.mean
        encoder.weight[found.kept, : weight.shape[1]] = weight * found.scale[:, None]
