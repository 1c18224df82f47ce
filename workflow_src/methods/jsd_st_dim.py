"""JSD-ST-DIM: ST-DIM with a binary discriminator instead of InfoNCE.

Source: arXiv 1906.08226, section 5.3, ablations.

The same two terms over the same places, but each pair is judged alone: a bilinear score says
whether a local feature is of x_tm1 or of x_hat, any frame of the same episode; binary cross
entropy, mean over places, pairs and both answers. This bounds the Jensen-Shannon divergence instead
of the mutual information (Hjelm et al. 2019, arXiv 1808.06670).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.methods.st_dim import features
from workflow_src.training.objective import EpisodeIndex, Objective, draw_pairs, method


@method("jsd-st-dim")
class JSDSTDIM(Objective):
    """ST-DIM's terms as questions of yes or no."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        channels = self.encoder.local_channels
        self.global_local = Score(settings.feature_size, channels, generator)
        self.local_local = Score(channels, channels, generator)

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Pairs (t-1, t), and with each a frame t_hat of the same episode."""
        pairs = draw_pairs(episodes, switches, rng)
        episode = np.searchsorted(episodes.first, pairs[:, 1], side="right") - 1
        t_hat = episodes.first[episode] + (
            rng.random(len(pairs)) * episodes.lengths[episode]
        ).astype(np.int64)
        return np.column_stack([pairs, t_hat])

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The two losses of a batch of triples, uint8 (B, 3, C, 210, 160): x_tm1, x_t, x_hat."""
        (c_tm1, c_t, c_hat), (_, z_t, _) = features(self.encoder, frames)
        with torch.autocast(frames.device.type, enabled=False):
            terms = {
                "global_local": self.global_local(z_t.expand(len(c_t), -1, -1), c_tm1, c_hat),
                "local_local": self.local_local(c_t, c_tm1, c_hat),
            }
            # What training stops on, as in the 2019 code.
            self.accuracy = (self.global_local.accuracy + self.local_local.accuracy) / 2
            return terms


class Score(nn.Module):
    """A bilinear score x^T W y + b with the loss of a binary discriminator.

    Initial values as in torch.nn.Bilinear.
    """

    def __init__(self, left: int, right: int, generator: torch.Generator):
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(left, right).uniform_(-(left**-0.5), left**-0.5, generator=generator)
        )
        self.bias = nn.Parameter(
            torch.empty(1).uniform_(-(left**-0.5), left**-0.5, generator=generator)
        )

    def forward(self, x: torch.Tensor, true: torch.Tensor, false: torch.Tensor) -> torch.Tensor:
        """Binary cross entropy of x (..., left) with ``true`` and ``false`` (..., right)."""
        projected = x @ self.weight
        yes, no = ((projected * y).sum(-1) + self.bias for y in (true, false))
        with torch.no_grad():
            self.accuracy = ((yes > 0).float().mean() + (no <= 0).float().mean()) / 2
        return (F.softplus(-yes).mean() + F.softplus(no).mean()) / 2
