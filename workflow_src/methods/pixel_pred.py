"""Pixel-pred: predicts the next frame from the representation, without the action.

Source: arXiv 1906.08226, section 5.1.

A linear map of the representation, then the VAE's decoder; mean squared error. As in the 2019 code:
x_t is never an episode's last frame, so that no pair wraps, whatever the protocol's ``wrap_pairs``
says.
"""

import numpy as np
import torch
import torch.nn.functional as F

from workflow_src import encoders
from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.training.objective import EpisodeIndex, Objective, draw_pairs, linear, method

DECODES = 1


@method("pixel-pred")
class PixelPred(Objective):
    """x_tp1 from z_t."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        self.step = linear(settings.feature_size, settings.feature_size, generator=generator)
        self.decoder = encoders.build_decoder(
            settings.encoder, settings.feature_size, generator, settings.frame_stack
        )

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Pairs (t, t+1) of one episode."""
        return draw_pairs(episodes, switches.model_copy(update={"wrap_pairs": False}), rng)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch of pairs, uint8 (B, 2, C, 210, 160), x_t first."""
        return {
            "squared_error": F.mse_loss(
                self.reconstruct(frames[:, 0]), encoders.scale(frames[:, 1])
            )
        }

    def reconstruct(self, frames: torch.Tensor) -> torch.Tensor:
        """The frames that follow."""
        return self.decoder(self.step(self.encoder(frames)))
