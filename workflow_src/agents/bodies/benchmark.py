"""The convolutions of the paper's encoder (arXiv 1906.08226): 3,456 features of a 210 x 160 frame.

With ``hidden: 256`` the body and the hidden layer are that encoder, ReLU after it.
"""

import torch
from torch import nn

from workflow_src.agents.network import Conv2d, ObservationConv2d, body
from workflow_src.encoders.base import uniform


@body("benchmark")
def benchmark(channels: int, shape: tuple[int, ...], generator: torch.Generator) -> nn.Module:
    """Convolutions of 32, 64, 128 and 64, as `encoders.architectures.nature` has them."""
    return nn.Sequential(
        uniform(ObservationConv2d, channels, 32, 8, stride=4, generator=generator),
        nn.ReLU(),
        uniform(Conv2d, 32, 64, 4, stride=2, generator=generator),
        nn.ReLU(),
        uniform(Conv2d, 64, 128, 4, stride=2, generator=generator),
        nn.ReLU(),
        uniform(Conv2d, 128, 64, 3, generator=generator),
        nn.ReLU(),
        nn.Flatten(),
    )
