"""Networks of agents: a body of one of the kinds, then heads that give action values.

All draw their initial weights from a generator that is an argument, PyTorch's defaults otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from workflow_src.encoders import custom
from workflow_src.encoders.base import FrameConv2d, uniform
from workflow_src.errors import UserError
from workflow_src.kinds import Registry

if TYPE_CHECKING:
    from workflow_src.config.agents import Agent

# A body is called with (channels, frame shape, generator) and maps observations
# (B, channels, *frame shape), uint8 or float, to features (B, d).
_BODIES: Registry[Any] = Registry("agents/bodies")
body = _BODIES.register


def build_body(
    row: Agent, channels: int, frame_shape: Sequence[int], generator: torch.Generator
) -> tuple[nn.Module, int]:
    """The body of an agent, and how many features it gives.

    One from a file is called with ``channels`` and ``frame_shape``, and gets floats: bytes as
    fractions of one. It stays in evaluation mode, so that nothing random or counted in it (dropout,
    batch normalisation) makes two trainings differ. `UserError` when it cannot be made, or does not
    fit observations of that shape.
    """
    if ":" in row.body:
        file, _, name = row.body.rpartition(":")
        seed = int(torch.randint(2**31, (), generator=generator))
        kwargs = {"channels": channels, "frame_shape": tuple(frame_shape)}
        made = nn.Sequential(Fractions(), custom.make(Path(file), name, kwargs, seed)).eval()
    else:
        made = _BODIES.find(row.body)(channels, tuple(frame_shape), generator)
    trunk = Trunk(*made) if type(made) is nn.Sequential else Trunk(made)
    return trunk, _features(trunk, row.body, (channels, *frame_shape))


class InHalf(nn.Module):
    """Float32 outside, and inside bfloat16 if ``reduced`` is set."""

    reduced: bool = False

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """What the module gives, as float32."""
        if not self.reduced:
            return super().forward(values)
        # Without a cache: what it holds would not be of a step that is recorded.
        with torch.autocast(values.device.type, torch.bfloat16, cache_enabled=False):
            return super().forward(values).float()


class Trunk(InHalf, nn.Sequential):
    """A body."""


class HiddenLinear(InHalf, nn.Linear):
    """The linear map after the body, which has a fifth of the products of a DQN."""


def set_precision(network: nn.Module, precision: str) -> None:
    """Let the body and the hidden layer compute in ``precision``; values stay float32."""
    for module in network.modules():
        if isinstance(module, InHalf):
            module.reduced = precision == "bfloat16"


def unrolled(
    maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: int = 1
) -> torch.Tensor:
    """A convolution without padding as one product of unrolled windows: (N, C, H, W) -> maps.

    cuDNN's deterministic kernels for the gradient of few weights are slow on CUDA: an update from
    32 transitions took 1.14 ms, half of it in three of them, and takes 0.61 ms so.
    """
    size = weight.shape[-1]
    windows = maps.permute(0, 2, 3, 1).unfold(1, size, stride).unfold(2, size, stride)
    n, height, width = windows.shape[:3]
    # Channels last, as maps and weights lie in memory.
    rows = windows.permute(0, 1, 2, 4, 5, 3).reshape(n * height * width, -1)
    found = F.linear(rows, weight.permute(0, 2, 3, 1).reshape(len(weight), -1), bias)
    return found.view(n, height, width, -1).permute(0, 3, 1, 2)


class Conv2d(nn.Conv2d):
    """A convolution without padding, of square kernels; see `unrolled`."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, channels, H, W) -> maps."""
        if not maps.is_cuda:
            return super().forward(maps)
        return unrolled(maps, self.weight, self.bias, self.stride[0])


class ObservationConv2d(FrameConv2d):
    """The first convolution, of observations as the memory gives them; see `unrolled`."""

    def _convolve(self, patches: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if not patches.is_cuda:
            return super()._convolve(patches, weight)
        return unrolled(patches, weight, self.bias)


class Fractions(nn.Module):
    """Bytes as fractions of one; floats as they are."""

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """(B, ...) -> (B, ...) float32."""
        return observation / 255 if observation.dtype == torch.uint8 else observation


@torch.no_grad()
def _features(made: nn.Module, name: str, shape: tuple[int, ...]) -> int:
    """How many features a body gives, by trying."""
    try:
        found = made(torch.zeros(2, *shape))
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(
            f"body {name} fails on observations (2, {', '.join(map(str, shape))}): {said}; choose "
            "another body"
        ) from error
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != 2:
        size = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise UserError(
            f"body {name} gives {size} for 2 observations, not (2, d): flatten its output"
        )
    return found.shape[1]


class Heads(nn.Module):
    """Features (B, d) -> values (B, heads, actions, units): a hidden layer for each head, then one.

    ``units`` values for each action: 1, or a distribution's. ``hidden`` None: no hidden layer.
    """

    def __init__(
        self,
        features: int,
        hidden: int | None,
        heads: int,
        actions: int,
        units: int,
        generator: torch.Generator,
    ):
        super().__init__()
        self.shape = (heads, actions, units)
        self.hidden = None
        if hidden is not None:
            self.hidden = uniform(HiddenLinear, features, heads * hidden, generator=generator)
        inputs = features if hidden is None else hidden
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(heads, inputs, actions * units))
        self.bias = nn.Parameter(torch.empty(heads, 1, actions * units))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The values of all heads."""
        heads = self.shape[0]
        if self.hidden is None:
            found = features.expand(heads, *features.shape)
        else:
            found = self.hidden(features).relu().unflatten(1, (heads, -1)).transpose(0, 1)
        values = torch.baddbmm(self.bias, found, self.weight)  # (heads, B, actions * units)
        return values.transpose(0, 1).unflatten(2, self.shape[1:])


class Network(nn.Module):
    """Observations ``(B, k, *shape)`` -> values (B, heads, actions, units)."""

    def __init__(self, trunk: nn.Module, heads: nn.Module, scale: float = 1.0):
        super().__init__()
        self.body, self.heads, self._scale = trunk, heads, scale

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """The values of an observation, uint8 or float32."""
        features = self.body(observation)
        if self._scale != 1.0 and features.requires_grad:
            features = scale_gradient(features, self._scale)
        return self.heads(features)


class PolicyNetwork(nn.Module):
    """Observations ``(B, k, *shape)`` -> logits (B, actions) and values (B,)."""

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        hidden: int,
        actions: int,
        generator: torch.Generator,
    ):
        super().__init__()
        self.body = trunk
        self.hidden = uniform(HiddenLinear, features, hidden, generator=generator)
        self.policy = uniform(nn.Linear, hidden, actions, generator=generator)
        self.value = uniform(nn.Linear, hidden, 1, generator=generator)

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and values of observations, uint8 or float32."""
        found = self.hidden(self.body(observation)).relu()
        return self.policy(found), self.value(found)[:, 0]

    def make_orthogonal(self, generator: torch.Generator) -> None:
        """Draw orthogonal weights, of a small gain for the policy, and set biases to zero."""
        gains = {self.policy: 0.01, self.value: 1.0}
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                gain = gains.get(module, math.sqrt(2))
                nn.init.orthogonal_(module.weight, gain, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def scale_gradient(values: torch.Tensor, scale: float) -> torch.Tensor:
    """``values``, whose gradient is multiplied by ``scale`` on its way back."""
    return values * scale + (values * (1 - scale)).detach()
