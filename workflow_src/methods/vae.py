"""VAE: a variational autoencoder of single frames (Kingma & Welling 2014, arXiv 1312.6114).

As in arXiv 1906.08226, section 5.1.

The representation is the mean of the posterior; its log-variance is a linear map of the last
convolution. The decoder mirrors the encoder. Minimised: squared error, summed over pixels, + beta x
KL divergence from a standard normal. As in the 2019 code: beta 1, sums over the batch, decoding the
mean in validation.
"""

import numpy as np
import torch
import torch.nn.functional as F

from workflow_src import encoders
from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.training.objective import EpisodeIndex, Objective, draw_frames, linear, method

OPTIONS = {"beta": 1.0}
DECODES = 0


@method("vae")
class VAE(Objective):
    """A beta-VAE."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        self.noise: torch.Generator | None = None
        self.beta = settings.resolved_options["beta"]
        self.log_variance = linear(
            self.encoder.hidden_size, settings.feature_size, generator=generator
        )
        self.decoder = encoders.build_decoder(
            settings.encoder, settings.feature_size, generator, settings.frame_stack
        )

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Single frames. The epoch's noise is seeded here, so a resumed training has the same."""
        self.noise_seed = int(rng.integers(2**63))
        if self.noise is not None:  # always the same one, since steps may be recorded
            self.noise.manual_seed(self.noise_seed)
        return draw_frames(episodes, switches, rng)

    def generators(self) -> tuple[torch.Generator, ...]:
        """That of the noise, once there was any."""
        return () if self.noise is None else (self.noise,)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The two terms of a batch of frames, uint8 (B, 1, C, 210, 160)."""
        frames = frames.squeeze(1)
        images = encoders.scale(frames)
        hidden, mean = self.encoder.hidden(frames)
        with torch.autocast(frames.device.type, enabled=False):
            mean, log_variance = mean.float(), self.log_variance(hidden.float())
            z = mean + self.draw_noise(mean) * (0.5 * log_variance).exp() if self.training else mean
        decoded = self.decoder(z)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return {
            "squared_error": F.mse_loss(decoded, images, reduction="sum"),
            "kl": self.beta * kl.sum(),
        }

    def draw_noise(self, like: torch.Tensor) -> torch.Tensor:
        """Standard normal numbers of the shape and device of ``like``."""
        if self.noise is None:
            self.noise = torch.Generator(like.device).manual_seed(self.noise_seed)
        return torch.randn(like.shape, generator=self.noise, device=like.device)

    def reconstruct(self, frames: torch.Tensor) -> torch.Tensor:
        """The same frames, by way of the posterior's mean."""
        return self.decoder(self.encoder(frames))
