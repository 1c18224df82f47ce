"""The encoder of the paper: the DQN trunk of Mnih et al. (2015), adapted to 210x160.

Source: arXiv 1906.08226, appendix A.

Convolutions 1-32 (8, stride 4), 32-64 (4, stride 2), 64-128 (4, stride 2), 128-64 (3, stride 1),
ReLU after each, then a linear map of 64 x 9 x 6 values to the representation, without ReLU.
Orthogonal weights of gain sqrt(2), zero biases. The spatial losses use the third convolution's
output: 128 channels at 11 x 8 places.

The decoder mirrors it layer by layer. A transposed convolution gives the least size that the
mirrored convolution would have come from; output padding makes up the rows and columns that this
one had left over, so that a frame is exactly 210x160; what is padded, the last 6 rows and 4
columns, is the same for every z. As in the 2019 code: this, ReLU after all layers but the last, a
sigmoid after that, PyTorch's default linear map.
"""

from functools import partial

import torch
from torch import nn

from workflow_src.encoders.base import (
    Encoder,
    FrameConv2d,
    FrameConvTranspose2d,
    PaddedConvTranspose2d,
    orthogonal,
    uniform,
)
from workflow_src.encoders.registry import decoder, encoder


@encoder("nature")
class NatureCNN(Encoder):
    """Frames (N, channels, 210, 160) -> representation (N, feature_size), see `Encoder`."""

    def __init__(self, feature_size: int, generator: torch.Generator, channels: int = 1):
        conv = partial(orthogonal, nn.Conv2d, generator=generator)
        local = nn.Sequential(
            orthogonal(FrameConv2d, channels, 32, 8, stride=4, generator=generator),
            nn.ReLU(inplace=True),
            conv(32, 64, 4, stride=2),
            nn.ReLU(inplace=True),
            conv(64, 128, 4, stride=2),
            nn.ReLU(inplace=True),
        )
        head = nn.Sequential(
            conv(128, 64, 3),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            orthogonal(nn.Linear, 64 * 9 * 6, feature_size, generator=generator),
        )
        super().__init__(local, head, local_channels=128)


@decoder("nature")
class NatureDecoder(nn.Module):
    """Representation (N, feature_size) -> frames in [0, 1], (N, channels, 210, 160) float32."""

    def __init__(self, feature_size: int, generator: torch.Generator, channels: int = 1):
        super().__init__()
        conv = partial(orthogonal, nn.ConvTranspose2d, generator=generator)
        self.layers = nn.Sequential(
            uniform(nn.Linear, feature_size, 64 * 9 * 6, generator=generator),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (64, 9, 6)),
            conv(64, 128, 3),
            nn.ReLU(inplace=True),
            conv(128, 64, 4, stride=2),
            nn.ReLU(inplace=True),
            orthogonal(
                PaddedConvTranspose2d, 64, 32, 4, stride=2, output_padding=1, generator=generator
            ),
            nn.ReLU(inplace=True),
            orthogonal(
                FrameConvTranspose2d,
                32,
                channels,
                8,
                stride=4,
                output_padding=(2, 0),
                generator=generator,
            ),
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The frames; the sigmoid in float32, since bfloat16 has no 256 steps between 0 and 1."""
        return self.layers(z).float().sigmoid()
