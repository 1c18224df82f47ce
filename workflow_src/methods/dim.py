"""DIM: the global-local term of ST-DIM within one frame, without time.

Source: arXiv 1808.06670; arXiv 1906.08226, section 5.3.
"""

import numpy as np
import torch

from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.methods.st_dim import features, info_nce
from workflow_src.training.objective import EpisodeIndex, Objective, draw_frames, linear, method


@method("dim")
class DIM(Objective):
    """W_g z_t against each local feature of x_t itself."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        self.global_local = linear(
            settings.feature_size, self.encoder.local_channels, generator=generator
        )

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Single frames."""
        return draw_frames(episodes, switches, rng)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch of frames, uint8 (B, 1, C, 210, 160)."""
        (c_t,), (z_t,) = features(self.encoder, frames)
        with torch.autocast(frames.device.type, enabled=False):
            return {"global_local": info_nce(self.global_local(z_t).expand(len(c_t), -1, -1), c_t)}
