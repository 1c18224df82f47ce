"""What all encoders have in common, and how their layers get their initial values.

PyTorch draws initial values from its global generator; here every layer is made without any and filled from a generator
that is an argument.
"""

import math

import torch
from torch import nn


class Encoder(nn.Module):
    """Float frames in [0, 1], (N, channels, 210, 160) -> representation (N, feature_size) float.

    ``local`` gives the maps (N, local_channels, H, W) that spatial losses use; ``head`` goes on from them, and ends with
    the linear map that gives the representation.
    """

    def __init__(self, local: nn.Sequential, head: nn.Sequential, local_channels: int):
        super().__init__()
        self.local, self.head, self.local_channels = local, head, local_channels

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The representation, (N, feature_size)."""
        return self.head(self.local(frames))

    def maps(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Local features (N, local_channels, H, W) and the representation (N, feature_size), in one pass."""
        local = self.local(frames)
        return local, self.head(local)

    def hidden(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The last convolution's values, flattened (N, hidden_size), and the representation, in one pass."""
        hidden = self.head[:-1](self.local(frames))
        return hidden, self.head[-1](hidden)

    @property
    def hidden_size(self) -> int:
        """Values of the last convolution."""
        return self.head[-1].in_features


def orthogonal(layer: type[nn.Module], *shape: int, generator: torch.Generator, **options) -> nn.Module:
    """A layer with orthogonal weights of gain sqrt(2) and zero biases, as the 2019 code's."""
    made = nn.utils.skip_init(layer, *shape, **options)
    nn.init.orthogonal_(made.weight, math.sqrt(2), generator=generator)
    nn.init.zeros_(made.bias)
    return made


def uniform(layer: type[nn.Module], *shape: int, generator: torch.Generator, **options) -> nn.Module:
    """A layer with PyTorch's default initial values, uniform on +-1 / sqrt(inputs of a unit)."""
    made = nn.utils.skip_init(layer, *shape, **options)
    bound = made.weight[0].numel() ** -0.5
    nn.init.uniform_(made.weight, -bound, bound, generator=generator)
    nn.init.uniform_(made.bias, -bound, bound, generator=generator)
    return made


class Float32Linear(nn.Linear):
    """A linear map that stays float32 where the encoder before it runs in bfloat16."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values (..., inputs) of any type -> (..., outputs) float32."""
        with torch.autocast(values.device.type, enabled=False):
            return super().forward(values.float())
