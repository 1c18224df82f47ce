"""ST-DIM: spatio-temporal deep infomax (Anand et al. 2019, arXiv 1906.08226, section 3).

Maximises the mutual information of consecutive frames x_tm1, x_t with two InfoNCE losses, over all
11 x 8 places of the encoder's third convolution, the other pairs of the batch being the negatives:

- global-local: W_g z_t against each local feature of x_tm1;
- local-local: W_l c_t at each place against the local feature of x_tm1 at the same place.

Each is the mean over places; their sum is minimised. As in the 2019 code: batch 64, linear maps
with bias. Ours: the 88 places are one batched matrix product each instead of a double loop; both
frames go through the encoder in one pass; scores and losses are float32 whatever the precision of
the encoder, since the score products diverge in bfloat16.
"""

import numpy as np
import torch
import torch.nn.functional as F

from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.encoders.base import Encoder
from workflow_src.training.objective import EpisodeIndex, Objective, draw_pairs, linear, method


@method("st-dim")
class STDIM(Objective):
    """Spatio-temporal deep infomax."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        channels = self.encoder.local_channels
        self.global_local = linear(settings.feature_size, channels, generator=generator)
        self.local_local = linear(channels, channels, generator=generator)

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Pairs (t-1, t)."""
        return draw_pairs(episodes, switches, rng)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The two losses of a batch of pairs, uint8 (B, 2, C, 210, 160), x_tm1 first."""
        local, z = features(self.encoder, frames)
        (c_tm1, c_t), (_, z_t) = local, z
        with torch.autocast(frames.device.type, enabled=False):
            return {
                "global_local": info_nce(self.global_local(z_t).expand(len(c_t), -1, -1), c_tm1),
                "local_local": info_nce(self.local_local(c_t), c_tm1),
            }


def features(encoder: Encoder, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Local features (k, positions, B, channels) and representations (k, B, d), float32.

    Of the k frames of B examples.

    ``frames``: uint8 (B, k, C, 210, 160). One pass for all of them, time first, so that each
    frame's are one block.
    """
    k = frames.shape[1]
    local, z = encoder.maps(frames.transpose(0, 1).flatten(0, 1))
    local = local.float().flatten(2).unflatten(0, (k, -1)).permute(0, 3, 1, 2).contiguous()
    return local, z.float().unflatten(0, (k, -1))


def info_nce(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """InfoNCE with bilinear scores, mean over positions and batch.

    Both (positions, B, C); the n-th pair is the positive one.
    """
    scores = torch.bmm(predictions, targets.transpose(1, 2))
    positive = torch.arange(scores.shape[1], device=scores.device).repeat(len(scores))
    return F.cross_entropy(scores.flatten(0, 1), positive)
