"""Encoders: network architectures, their files of weights, and encoding frames.

An encoder is a module that maps frames (N, channels, 210, 160), float in [0, 1], to
(N, feature_size) float; the channels are the frame and those before it (``frame_stack``), the
newest last. The package's own also take frames as stored, in uint8. `base` says what methods need
of an encoder; each file in `architectures` is an architecture.
"""

from workflow_src.encoders.applying import channels_last, classify, encode, scale
from workflow_src.encoders.base import up_to
from workflow_src.encoders.files import KIND, load, load_heads, load_one, save
from workflow_src.encoders.registry import build, build_decoder, of_row

__all__ = [
    "KIND",
    "build",
    "build_decoder",
    "channels_last",
    "classify",
    "encode",
    "load",
    "load_heads",
    "load_one",
    "of_row",
    "save",
    "scale",
    "up_to",
]
