"""What all encoders have in common, and how their layers get their initial values.

PyTorch draws initial values from its global generator; here every layer is made without any and
filled from a generator that is an argument.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from workflow_src.errors import UserError


class Encoder(nn.Module):
    """Frames (N, channels, 210, 160) -> representation (N, feature_size), float.

    Frames are uint8, or float in [0, 1].

    ``local``, whose first layer is a `FrameConv2d`, gives the maps (N, local_channels, H, W) that
    spatial losses use; ``head`` goes on from them, and ends with the linear map that gives the
    representation.
    """

    def __init__(self, local: nn.Sequential, head: nn.Sequential, local_channels: int):
        super().__init__()
        self.local, self.head, self.local_channels = local, head, local_channels

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The representation, (N, feature_size)."""
        return self.head(self.local(frames))

    def maps(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Local features (N, local_channels, H, W) and representation (N, feature_size)."""
        local = self.local(frames)
        return local, self.head(local)

    def hidden(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The last convolution's values (N, hidden_size) and the representation, in one pass."""
        hidden = self.head[:-1](self.local(frames))
        return hidden, self.head[-1](hidden)

    @property
    def hidden_size(self) -> int:
        """Values of the last convolution."""
        return self._linear.in_features

    @property
    def feature_size(self) -> int:
        """Values of the representation."""
        return self._linear.out_features

    @property
    def _linear(self) -> nn.Linear:
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        return last


def up_to(encoder: Encoder, layer: str) -> Encoder:
    """The part of an encoder that gives the values of ``conv1``, ``conv2``, ..., after the ReLU.

    Its representation is their maps, flattened: (N, channels x H x W). `UserError` if there is no
    such convolution.
    """
    modules = [*encoder.local, *encoder.head]
    found = [at for at, module in enumerate(modules) if isinstance(module, nn.Conv2d)]
    number = int(layer.removeprefix("conv"))
    if number > len(found):
        raise UserError(
            f"layer {layer}: the encoder has {len(found)} convolutions; choose conv1 to "
            f"conv{len(found)}, or hidden"
        )
    last = found[number - 1]
    channels = modules[last].out_channels
    local = nn.Sequential(*modules[: last + 2])
    return Encoder(local, nn.Sequential(nn.Flatten()), local_channels=int(channels))


def orthogonal(
    layer: type[nn.Module], *shape: int, generator: torch.Generator, **options
) -> nn.Module:
    """A layer with orthogonal weights of gain sqrt(2) and zero biases, as the 2019 code's."""
    made = nn.utils.skip_init(layer, *shape, **options)
    nn.init.orthogonal_(made.weight, math.sqrt(2), generator=generator)
    nn.init.zeros_(made.bias)
    return made


def uniform(
    layer: type[nn.Module], *shape: int, generator: torch.Generator, **options
) -> nn.Module:
    """A layer with PyTorch's default initial values, uniform on +-1 / sqrt(inputs of a unit)."""
    made = nn.utils.skip_init(layer, *shape, **options)
    bound = made.weight[0].numel() ** -0.5
    nn.init.uniform_(made.weight, -bound, bound, generator=generator)
    nn.init.uniform_(made.bias, -bound, bound, generator=generator)
    return made


class FrameConv2d(nn.Conv2d):
    """A convolution of frames as stored: uint8 (N, channels, H, W), read as value / 255.

    A convolution of one channel is slow on every kind of device. Where stride and kernel allow it,
    the pixels of a stride are made the channels of a map of patches, on which the same weights are
    a smaller convolution of stride 1: the same sums, in channels-last order from the start (forward
    and backward 1.9 and 2.9 ms instead of 3.9 and 5.6 for 128 frames; the second convolution's
    backward, which got maps in another order, 15 instead of 42). Frames that are floats are
    convolved plainly.
    """

    brightest = 1.0  # what the brightest pixel is to the weights

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Maps of the frames, in bfloat16 where autocast says so."""
        if frames.dtype != torch.uint8:
            return super().forward(frames if self.brightest == 1 else frames * self.brightest)
        device = frames.device.type
        dtype = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else self.weight.dtype
        )
        weight = self.weight * (self.brightest / 255) if self.brightest != 1 else self.weight / 255
        by_patches = (
            self.stride == (_WORD, _WORD)
            and not any(k % _WORD for k in self.kernel_size)
            and not any(self.padding)
        )
        if not by_patches or not len(frames):
            return F.conv2d(frames.to(dtype), weight, self.bias, self.stride, self.padding)
        # As many patches as kernels reach; what the plain convolution leaves over is cut off.
        height, width = (
            (n - k) // _WORD + k // _WORD
            for n, k in zip(frames.shape[2:], self.kernel_size, strict=True)
        )
        weight = as_channels_last(F.pixel_unshuffle(weight, _WORD))
        return self._convolve(_patches(frames, height, width).to(dtype), weight)

    def _convolve(self, patches: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.conv2d(patches, weight, self.bias)


class PaddedConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution with output padding, whose bias is added afterwards.

    On a processor in bfloat16 the two together take another kernel, of ten times the time.
    """

    def forward(self, maps: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """Maps (N, channels, H, W); what is padded is the bias."""
        assert output_size is None and self.bias is not None
        maps = self._transposed(maps)
        return maps.add_(self.bias.to(maps.dtype).view(-1, 1, 1))

    def _transposed(self, maps: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.padding, tuple)
        return F.conv_transpose2d(
            maps, self.weight, None, self.stride, self.padding, self.output_padding
        )


class FrameConvTranspose2d(PaddedConvTranspose2d):
    """The mirror of a strided `FrameConv2d`, through patches: 3 ms instead of 49 for 64 frames."""

    def _transposed(self, maps: torch.Tensor) -> torch.Tensor:
        size, (rows, columns) = self.stride[0], self.output_padding
        weight = as_channels_last(F.pixel_unshuffle(self.weight, size))
        return F.pad(F.pixel_shuffle(F.conv_transpose2d(maps, weight), size), (0, columns, 0, rows))


_WORD = 4


def as_channels_last(kernels: torch.Tensor) -> torch.Tensor:
    """(..., C, H, W) in that order of memory, stacks of kernels too, also inside vmap."""
    return kernels.movedim(-3, -1).contiguous().movedim(-1, -3)


def _patches(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """uint8 (N, C, H, W) -> patches of 4 x 4 pixels as channels: (N, 16 C, height, width).

    The result is in channels-last order.

    In the order of `torch.pixel_unshuffle`. Four neighbours move as one word, 8 times as fast as
    byte by byte.
    """
    words = frames.contiguous().view(torch.int32)[:, :, : height * _WORD, :width]
    rows = words.unflatten(2, (height, _WORD)).permute(
        0, 2, 4, 1, 3
    )  # (N, height, width, C, row in the patch)
    return rows.contiguous().view(torch.uint8).flatten(3).permute(0, 3, 1, 2)


class Float32Linear(nn.Linear):
    """A linear map that stays float32 where the encoder before it runs in bfloat16."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values (..., inputs) of any type -> (..., outputs) float32."""
        with torch.autocast(values.device.type, enabled=False):
            return super().forward(values.float())
