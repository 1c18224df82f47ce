"""The convolutions of the first DQN (arXiv 1312.5602), which asynchronous agents use too."""

import torch
from torch import nn

from workflow_src.agents.network import Conv2d, ObservationConv2d, body
from workflow_src.encoders.base import uniform


@body("small")
def small(channels: int, shape: tuple[int, ...], generator: torch.Generator) -> nn.Module:
    """Convolutions of 16 (8, stride 4) and 32 (4, stride 2), ReLU after each."""
    return nn.Sequential(
        uniform(ObservationConv2d, channels, 16, 8, stride=4, generator=generator),
        nn.ReLU(),
        uniform(Conv2d, 16, 32, 4, stride=2, generator=generator),
        nn.ReLU(),
        nn.Flatten(),
    )
