"""Network architectures: frames -> representation. One file each; ``build`` knows them by name.

An encoder is a module that maps frames (N, channels, 210, 160), float in [0, 1], to (N,
feature_size) float; the channels are the frame and those before it (``frame_stack``), the newest
last. Ours take them as stored too, in uint8. See `base` for what methods ask of one.
"""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from workflow_src import artifacts
from workflow_src.encoders import custom
from workflow_src.encoders.base import Encoder, as_channels_last
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.encoders.impala import ImpalaCNN, ImpalaDecoder
from workflow_src.encoders.nature import NatureCNN, NatureDecoder
from workflow_src.errors import UserError

ENCODERS: dict[str, type[Encoder]] = {"nature": NatureCNN, "impala": ImpalaCNN}
DECODERS: dict[str, type[nn.Module]] = {"nature": NatureDecoder, "impala": ImpalaDecoder}
CUSTOM = "custom"
KIND = "weights"
_HEADS = "heads/"
# Frames encoded at once. On a processor, larger tensors than these go back to the operating system
# after every layer.
_BATCH = {"cpu": 64, "cuda": 1024}


def build(name: str, feature_size: int, generator: torch.Generator, channels: int = 1) -> Encoder:
    """A new encoder with weights drawn from ``generator``."""
    return ENCODERS[name](feature_size, generator, channels)


def save(
    path: str | os.PathLike,
    encoder: nn.Module,
    header: Mapping[str, Any],
    heads: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write an encoder's weights, with ``header`` saying what `load` needs to build it, and beside them those of ``heads``."""
    tensors = encoder.state_dict() | {
        f"{_HEADS}{name}": tensor for name, tensor in (heads or {}).items()
    }
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
    artifacts.write_arrays(path, KIND, arrays, header)


def load(path: str | os.PathLike) -> tuple[nn.Module, dict[str, Any]]:
    """Read an encoder, or a classifier if the header names ``variables``, from a checked file of weights.

    `UserError` when file and code do not fit each other.
    """
    tensors, header = _read(path)
    encoder = _build(path, header)
    try:
        encoder.load_state_dict(
            {name: tensor for name, tensor in tensors.items() if not name.startswith(_HEADS)}
        )
    except RuntimeError as error:
        raise UserError(
            f"{path} does not fit the encoder {header['encoder']}: train it again with this version"
        ) from error
    return encoder, header


def load_heads(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """What a method learned beside its encoder."""
    return {
        name.removeprefix(_HEADS): tensor
        for name, tensor in _read(path)[0].items()
        if name.startswith(_HEADS)
    }


def _read(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    arrays, header = artifacts.read_arrays(path, KIND)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, header


def _build(path: str | os.PathLike, header: Mapping[str, Any]) -> nn.Module:
    """The module that a header describes, with any weights."""
    if header.get("encoder") == CUSTOM:
        if custom.sha256(header["module"]) != header["module_sha256"]:
            raise UserError(
                f"{header['module']} has changed since {path} was made of it: make the encoder again"
            )
        return custom.make(
            header["module"], header["class"], header["kwargs"], header["module_seed"]
        )
    if header.get("encoder") not in ENCODERS:
        known = ", ".join([*ENCODERS, CUSTOM])
        raise UserError(
            f"{path} holds weights of an unknown encoder {header.get('encoder')!r}; known: {known}"
        )
    generator = torch.Generator()
    make = partial(
        build, header["encoder"], header["feature_size"], generator, header.get("frame_stack", 1)
    )
    if "variables" not in header:
        return make()
    kind = SharedClassifier if header["shared"] else Classifier
    return kind(make, len(header["variables"]), header["classes"], generator)


def scale(frames: torch.Tensor) -> torch.Tensor:
    """uint8 frames (N, 210, 160) or (N, C, 210, 160) -> float32 (N, C, 210, 160) in [0, 1]."""
    return _with_channels(frames).float().div_(255)


def _with_channels(frames: torch.Tensor) -> torch.Tensor:
    """Frames (N, 210, 160) or (N, C, 210, 160) -> (N, C, 210, 160)."""
    return frames if frames.ndim == 4 else frames.unsqueeze(1)


def channels_last(module: nn.Module) -> nn.Module:
    """``module`` with its convolutions' weights in the order that is fast for channels-last maps, stacks of them too."""
    for parameter in module.parameters():
        if parameter.ndim in (4, 5):
            parameter.data = as_channels_last(parameter.data)
    return module


# Not inference mode: the encoder is moved in here, and its weights would be unfit for training ever
# after.
@torch.no_grad()
def encode(
    encoder: nn.Module, frames: np.ndarray | torch.Tensor, device: torch.device
) -> np.ndarray:
    """Features of uint8 frames (n, 210, 160) or (n, C, 210, 160), in order: (n, d) float32.

    In float32 whatever the encoder was trained in: features are made once. The frames go to
    ``device`` batch by batch.
    """
    encoder = encoder.to(device).eval()
    if isinstance(encoder, Encoder):  # somebody else's may rely on the order of its weights
        channels_last(encoder)
    batches = torch.as_tensor(frames).split(_BATCH[device.type])
    prepare = _with_channels if isinstance(encoder, Encoder) else scale
    return (
        torch.cat([encoder(prepare(batch.to(device))).float() for batch in batches]).cpu().numpy()
    )


@torch.no_grad()
def classify(
    classifier: nn.Module, frames: np.ndarray | torch.Tensor, device: torch.device
) -> np.ndarray:
    """The likeliest value of each variable, (n, V) int64, of uint8 frames as for `encode`, by a `Classifier`."""
    classifier = classifier.to(device).eval()
    batches = torch.as_tensor(frames).split(_BATCH[device.type])
    return (
        torch.cat([classifier(_with_channels(batch.to(device))).argmax(-1) for batch in batches])
        .cpu()
        .numpy()
    )
