"""Hand-made features: profiles of what differs from the background, and an affine map of them.

See `encoders.places`. Nothing here is drawn or trained: the kind `profiles` measures it.
"""

import torch
from torch import nn

from workflow_src.encoders.base import Encoder
from workflow_src.encoders.places import PROFILES, Profiles


class ProfilesOfLevels(Encoder):
    """Frames (N, channels, 210, 160) -> features (N, feature_size) of the newest frame."""

    mean: torch.Tensor
    weight: torch.Tensor

    def __init__(self, feature_size: int):
        super().__init__(nn.Sequential(), nn.Sequential(), local_channels=0)
        self.profiles = Profiles()
        self.register_buffer("mean", torch.zeros(PROFILES))
        self.register_buffer("weight", torch.zeros(PROFILES, feature_size))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames uint8, or float in [0, 1]."""
        newest = frames[:, -1]
        if newest.dtype != torch.uint8:
            newest = (newest * 255).round().to(torch.uint8)
        return (self.profiles(newest).float().sqrt() - self.mean) @ self.weight

    @property
    def feature_size(self) -> int:
        """Values of the representation."""
        return self.weight.shape[1]
