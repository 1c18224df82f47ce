"""The convolutions of the DQN (Mnih et al. 2015), without padding: 3,136 features of 84 x 84."""

import torch
from torch import nn

from workflow_src.agents.network import Conv2d, ObservationConv2d, body
from workflow_src.encoders.base import uniform


@body("nature")
def nature(channels: int, shape: tuple[int, ...], generator: torch.Generator) -> nn.Module:
    """Convolutions of 32 (8, stride 4), 64 (4, stride 2) and 64 (3, stride 1), ReLU after each."""
    return nn.Sequential(
        uniform(ObservationConv2d, channels, 32, 8, stride=4, generator=generator),
        nn.ReLU(),
        uniform(Conv2d, 32, 64, 4, stride=2, generator=generator),
        nn.ReLU(),
        uniform(Conv2d, 64, 64, 3, generator=generator),
        nn.ReLU(),
        nn.Flatten(),
    )
