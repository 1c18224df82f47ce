"""A linear layer, for observations that are no pictures, such as GridWorld's position."""

import math

import torch
from torch import nn

from workflow_src.agents.network import body
from workflow_src.encoders.base import uniform

UNITS = 32


class Flat(nn.Module):
    """Observations of any shape as one vector each, bytes as fractions of one."""

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """(B, ...) -> (B, d) float32."""
        values = observation.flatten(1)
        return values / 255 if values.dtype == torch.uint8 else values


@body("mlp")
def mlp(channels: int, shape: tuple[int, ...], generator: torch.Generator) -> nn.Module:
    """A linear map to 32 units and a ReLU, as Kaixhin/Atari has for GridWorld."""
    inputs = channels * math.prod(shape)
    return nn.Sequential(Flat(), uniform(nn.Linear, inputs, UNITS, generator=generator), nn.ReLU())
