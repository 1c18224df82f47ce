"""The network of a DQN (Mnih et al. 2015) as an encoder: frames are resized to 84 x 84.

As agents see them: the area average of the pixels, rounded to bytes. Convolutions of 32 (8, stride
4), 64 (4, stride 2) and 64 (3, stride 1), then a linear map of 64 x 7 x 7 values to the
representation, before its ReLU. ``frame_stack: 4`` are the agent's four frames.
"""

from functools import partial

import numpy as np
import torch
from torch import nn

from workflow_src.encoders.base import Encoder, FrameConv2d, uniform
from workflow_src.encoders.registry import encoder

SIZE = 84


class AreaResize(nn.Module):
    """Frames (N, C, H, W) -> (N, C, 84, 84): the mean of the area that a pixel covers.

    Bytes are rounded to bytes, as `cv2.resize` does with ``INTER_AREA``; float frames are not.
    """

    def __init__(self, height: int = 210, width: int = 160):
        super().__init__()
        for name, pixels in (("rows", height), ("columns", width)):
            self.register_buffer(name, _shares(pixels), persistent=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The resized frames, of the same type."""
        found = self.rows @ frames.float() @ self.columns.T  # type: ignore[operator]
        return found.round_().to(frames.dtype) if frames.dtype == torch.uint8 else found


def _shares(pixels: int) -> torch.Tensor:
    """How much each of 84 pixels takes of each of ``pixels``: (84, pixels), rows of sum 1."""
    edges = np.arange(SIZE + 1) * pixels / SIZE
    at = np.arange(pixels)
    upper = np.minimum(edges[1:, None], at + 1)
    lower = np.maximum(edges[:-1, None], at)
    return torch.from_numpy((np.clip(upper - lower, 0, None) * SIZE / pixels).astype(np.float32))


@encoder("dqn")
class DQNEncoder(Encoder):
    """Frames (N, channels, 210, 160) -> representation (N, feature_size), see `Encoder`."""

    def __init__(self, feature_size: int, generator: torch.Generator, channels: int = 1):
        conv = partial(uniform, nn.Conv2d, generator=generator)
        local = nn.Sequential(
            AreaResize(),
            uniform(FrameConv2d, channels, 32, 8, stride=4, generator=generator),
            nn.ReLU(inplace=True),
            conv(32, 64, 4, stride=2),
            nn.ReLU(inplace=True),
        )
        head = nn.Sequential(
            conv(64, 64, 3),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            uniform(nn.Linear, 64 * 7 * 7, feature_size, generator=generator),
        )
        super().__init__(local, head, local_channels=64)
