"""No layers: observations as they are, one vector each, such as the features of an encoder."""

import torch
from torch import nn

from workflow_src.agents.bodies.mlp import Flat
from workflow_src.agents.network import body


@body("flat")
def flat(channels: int, shape: tuple[int, ...], generator: torch.Generator) -> nn.Module:
    """The values of an observation, bytes as fractions of one."""
    return Flat()
