"""Architectures by name: each file in `architectures` registers an encoder, perhaps a decoder."""

from collections.abc import Callable

import torch
from torch import nn

from workflow_src.config.methods import PROFILES, Method
from workflow_src.encoders.base import Encoder, FrameConv2d
from workflow_src.encoders.charts import Charts
from workflow_src.encoders.profiles import ProfilesOfLevels
from workflow_src.errors import UserError
from workflow_src.kinds import Registry

FOLDER = "encoders/architectures"
# Both are called with (feature_size, generator, channels).
_ENCODERS: Registry[Callable[..., Encoder]] = Registry(FOLDER)
_DECODERS: Registry[Callable[..., nn.Module]] = Registry(FOLDER)
encoder, decoder = _ENCODERS.register, _DECODERS.register


def build(
    name: str,
    feature_size: int,
    generator: torch.Generator,
    channels: int = 1,
    input_scale: str = "unit",
) -> Encoder:
    """A new encoder of the architecture ``name``, with weights drawn from ``generator``.

    ``input_scale``: ``unit`` for pixels from 0 to 1, ``byte`` for pixels from 0 to 255.
    """
    made = _ENCODERS.find(name)(feature_size, generator, channels)
    if input_scale == "byte":
        for module in made.modules():
            if isinstance(module, FrameConv2d):
                module.brightest = 255.0
    return made


def of_row(row: Method, generator: torch.Generator) -> Encoder:
    """A new encoder as a row of ``methods`` describes it, with weights drawn from ``generator``."""
    if row.encoder == PROFILES:
        return ProfilesOfLevels(row.feature_size)
    rest = (generator, row.frame_stack, row.input_scale)
    if row.charts is None:
        return build(row.encoder, row.feature_size, *rest)
    values = row.charts * (row.feature_size + 1)
    return Charts(build(row.encoder, values, *rest), row.charts, row.readout or "mean")


def build_decoder(
    name: str, feature_size: int, generator: torch.Generator, channels: int = 1
) -> nn.Module:
    """A new decoder that mirrors the architecture ``name``; `UserError` if it has none."""
    try:
        make = _DECODERS.find(name)
    except KeyError:
        raise UserError(
            f"encoder {name} has no decoder: choose another encoder for this method"
        ) from None
    return make(feature_size, generator, channels)
