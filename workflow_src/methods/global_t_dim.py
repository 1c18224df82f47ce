"""Global T-DIM: ST-DIM on representations alone (arXiv 1906.08226, section 5.3)."""

import numpy as np
import torch

from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.methods.st_dim import info_nce
from workflow_src.training.objective import EpisodeIndex, Objective, draw_pairs, linear, method


@method("global-t-dim")
class GlobalTDIM(Objective):
    """W z_t against z_tm1."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        self.global_global = linear(
            settings.feature_size, settings.feature_size, generator=generator
        )

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Pairs (t-1, t)."""
        return draw_pairs(episodes, switches, rng)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch of pairs, uint8 (B, 2, C, 210, 160), x_tm1 first."""
        z = self.encoder(frames.transpose(0, 1).flatten(0, 1)).float()
        with torch.autocast(frames.device.type, enabled=False):
            z_tm1, z_t = z.unsqueeze(0).chunk(2, dim=1)
            return {"global_global": info_nce(self.global_global(z_t), z_tm1)}
