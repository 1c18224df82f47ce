"""``NatureCNN`` and ``ImpalaCNN``, made of a number of channels and ``args`` as in 2019."""

from typing import Any

import torch
from torch import nn

from workflow_src.encoders import build
from workflow_src.errors import UserError


class _Encoder(nn.Module):
    """An encoder of the workflow with its names of 2019.

    ``args.feature_size`` features; ``args.end_with_relu``. Weights are drawn from PyTorch's own
    generator, so `torch.manual_seed` decides them. `UserError` for ``args`` that ask for frames of
    84x84.
    """

    architecture = ""

    def __init__(self, input_channels: int, args: Any):
        super().__init__()
        if not getattr(args, "no_downsample", True):
            raise UserError(
                "no_downsample=False: the encoders see frames of 210x160; give full frames"
            )
        self.input_channels = input_channels
        self.feature_size = self.hidden_size = args.feature_size
        self.end_with_relu = getattr(args, "end_with_relu", False)
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        self.main = build(self.architecture, self.feature_size, generator, input_channels)

    @property
    def local_layer_depth(self) -> int:
        """The channels of the feature maps that spatial losses use."""
        return self.main.local_channels

    def forward(self, inputs: torch.Tensor, fmaps: bool = False) -> Any:
        """Frames in [0, 1], (N, C, 210, 160), to features; with ``fmaps`` a dictionary, too."""
        maps = self.main.local(inputs)
        out = self.main.head(maps)
        out = out.relu() if self.end_with_relu else out
        return {"f5": maps.permute(0, 2, 3, 1), "out": out} if fmaps else out


class NatureCNN(_Encoder):
    """The paper's encoder."""

    architecture = "nature"


class ImpalaCNN(_Encoder):
    """The residual encoder."""

    architecture = "impala"


class PPOEncoder(nn.Module):
    """Refused: the agents of 2019 are no longer to be had."""

    def __init__(self, env_name: str, checkpoint_index: int):
        super().__init__()
        raise UserError(
            "the trained agents of 2019 are no longer to be had: probe an agent of your own with "
            "a method of the kind agent (docs/methods/agent.md)"
        )
