"""The convolutions that Kaixhin/Atari uses for Catch, of 24 x 24 pixels."""

import torch
from torch import nn

from workflow_src.agents.network import Conv2d, ObservationConv2d, body
from workflow_src.encoders.base import uniform


@body("catch")
def catch(channels: int, shape: tuple[int, ...], generator: torch.Generator) -> nn.Module:
    """Two convolutions of 32 (5, stride 2), the first with a padding of 1, ReLU after each."""
    return nn.Sequential(
        uniform(ObservationConv2d, channels, 32, 5, stride=2, padding=1, generator=generator),
        nn.ReLU(),
        uniform(Conv2d, 32, 32, 5, stride=2, generator=generator),
        nn.ReLU(),
        nn.Flatten(),
    )
