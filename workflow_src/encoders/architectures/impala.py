"""The residual encoder of IMPALA (Espeholt et al. 2018, arXiv 1802.01561).

The 2019 code offers it as an alternative to `nature`.

Four sections of 16, 32, 32 and 32 channels: a 3x3 convolution, max pooling (3, stride 2), ReLU and
two residual blocks each; then a linear map of 32 x 12 x 9 values to the representation. The spatial
losses use the third section's output: 32 channels at 25 x 19 places. Differs from the 2019 code:
zeros instead of reflections around the maps, whose gradient is not deterministic on CUDA; no ReLU
after the linear map, which no method here could do without.

The decoder mirrors it section by section, with nearest-neighbour enlarging to the mirrored
section's size for the pooling.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import nn

from workflow_src.encoders.base import Encoder, FrameConv2d, uniform
from workflow_src.encoders.registry import decoder, encoder

DEPTHS = (16, 32, 32, 32)
SIZES = (
    (210, 160),
    (104, 79),
    (51, 39),
    (25, 19),
    (12, 9),
)  # of the maps before the first section and after each


class Residual(nn.Module):
    """Two convolutions beside the identity, of maps (N, depth, H, W)."""

    def __init__(self, depth: int, generator: torch.Generator):
        super().__init__()
        conv = partial(uniform, nn.Conv2d, depth, depth, 3, padding=1, generator=generator)
        self.layers = nn.Sequential(conv(), nn.ReLU(inplace=True), conv())

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps of the same shape."""
        return torch.relu(self.layers(maps) + maps)


@encoder("impala")
class ImpalaCNN(Encoder):
    """Frames (N, channels, 210, 160) -> representation (N, feature_size), see `Encoder`."""

    def __init__(self, feature_size: int, generator: torch.Generator, channels: int = 1):
        def section(before: int, after: int, kind: type[nn.Conv2d] = nn.Conv2d) -> nn.Sequential:
            conv = uniform(kind, before, after, 3, padding=1, generator=generator)
            return nn.Sequential(
                conv,
                nn.MaxPool2d(3, 2),
                nn.ReLU(inplace=True),
                Residual(after, generator),
                Residual(after, generator),
            )

        sections = [
            section(channels, DEPTHS[0], FrameConv2d),
            *(section(*depths) for depths in pairwise(DEPTHS)),
        ]
        hidden = DEPTHS[-1] * SIZES[-1][0] * SIZES[-1][1]
        last = uniform(nn.Linear, hidden, feature_size, generator=generator)
        super().__init__(
            nn.Sequential(*sections[:3]),
            nn.Sequential(sections[3], nn.Flatten(), last),
            local_channels=DEPTHS[2],
        )


@decoder("impala")
class ImpalaDecoder(nn.Module):
    """Representation (N, feature_size) -> frames in [0, 1], (N, channels, 210, 160) float32."""

    def __init__(self, feature_size: int, generator: torch.Generator, channels: int = 1):
        super().__init__()
        hidden = DEPTHS[-1] * SIZES[-1][0] * SIZES[-1][1]
        layers = [
            uniform(nn.Linear, feature_size, hidden, generator=generator),
            nn.ReLU(inplace=True),
        ]
        layers.append(nn.Unflatten(1, (DEPTHS[-1], *SIZES[-1])))
        for before, after, size in zip(
            DEPTHS[::-1], (*DEPTHS[-2::-1], channels), SIZES[-2::-1], strict=True
        ):
            layers += [
                Residual(before, generator),
                Residual(before, generator),
                nn.Upsample(size),
                nn.ReLU(inplace=True),
            ]
            layers += [uniform(nn.Conv2d, before, after, 3, padding=1, generator=generator)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The frames; the sigmoid in float32, since bfloat16 has no 256 steps between 0 and 1."""
        return self.layers(z).float().sigmoid()
