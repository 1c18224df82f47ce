"""The encoder of the paper (arXiv 1906.08226, appendix A): the DQN trunk of Mnih et al. (2015), adapted to 210x160.

Convolutions 1-32 (8, stride 4), 32-64 (4, stride 2), 64-128 (4, stride 2), 128-64 (3, stride 1), ReLU after each, then a
linear map of 64 x 9 x 6 values to the representation, without ReLU. Orthogonal weights of gain sqrt(2), zero biases.
The spatial losses use the third convolution's output: 128 channels at 11 x 8 places.
"""

import math
from functools import partial

import torch
from torch import nn

LOCAL_CHANNELS = 128


class NatureCNN(nn.Module):
    """Float frames in [0, 1], (N, 1, 210, 160) -> representation (N, feature_size)."""

    def __init__(self, feature_size: int, generator: torch.Generator, channels: int = 1):
        super().__init__()
        self.feature_size = feature_size
        # PyTorch's own initial values would be drawn from its global generator, to be overwritten here.
        conv, linear = partial(nn.utils.skip_init, nn.Conv2d), partial(nn.utils.skip_init, nn.Linear)
        self.local = nn.Sequential(
            conv(channels, 32, 8, stride=4),
            nn.ReLU(),
            conv(32, 64, 4, stride=2),
            nn.ReLU(),
            conv(64, LOCAL_CHANNELS, 4, stride=2),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            conv(LOCAL_CHANNELS, 64, 3),
            nn.ReLU(),
            nn.Flatten(),
            linear(64 * 9 * 6, feature_size),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(module.weight, math.sqrt(2), generator=generator)
                nn.init.zeros_(module.bias)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The representation, (N, feature_size)."""
        return self.head(self.local(frames))

    def maps(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Local features (N, 128, 11, 8) and the representation (N, feature_size), in one pass."""
        local = self.local(frames)
        return local, self.head(local)
