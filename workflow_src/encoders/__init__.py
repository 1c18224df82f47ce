"""Network architectures: frames -> representation. One file each; ``build`` knows them by name.

An encoder is a module that maps frames (N, channels, 210, 160), float in [0, 1], to (N, feature_size) float; the channels are
the frame and those before it (``frame_stack``), the newest last. Ours take them as stored too, in uint8. See `base` for what
methods ask of one.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from workflow_src import artifacts
from workflow_src.config import Method
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
# Frames encoded at once. On a processor, larger tensors than these go back to the operating system after every layer.
_BATCH = {"cpu": 64, "cuda": 1024}


def build(name: str, feature_size: int, generator: torch.Generator, channels: int = 1) -> Encoder:
    """A new encoder with weights drawn from ``generator``."""
    return ENCODERS[name](feature_size, generator, channels)


def save(
    path: str | os.PathLike, encoder: nn.Module, header: Mapping[str, Any], heads: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write an encoder's weights, with a ``header`` that `load` compares with the row, and beside them those of ``heads``."""
    tensors = encoder.state_dict() | {f"{_HEADS}{name}": tensor for name, tensor in (heads or {}).items()}
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
    artifacts.write_arrays(path, KIND, arrays, header)


def load(
    path: str | os.PathLike, row: Method, variables: Sequence[str] | None = None, classes: int | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Build the encoder of a method's row, or its classifier of ``variables``, with the weights of a checked file.

    The file's header decides nothing: it may be anybody's. `UserError` when it is of something else than the row, or file and
    code do not fit each other.
    """
    tensors, header = _read(path)
    _check(path, header, _asked(row, variables, classes))
    encoder = _custom(path, row, header) if row.kind == CUSTOM else _ours(row, variables, classes)
    try:
        encoder.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith(_HEADS)})
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the encoder {header['encoder']}: train it again with this version") from error
    return encoder, header


def load_heads(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """What a method learned beside its encoder."""
    return {name.removeprefix(_HEADS): tensor for name, tensor in _read(path)[0].items() if name.startswith(_HEADS)}


def _read(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    arrays, header = artifacts.read_arrays(path, KIND)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, header


def _asked(row: Method, variables: Sequence[str] | None, classes: int | None) -> dict[str, Any]:
    """What the header of a row's weights has to say."""
    asked: dict[str, Any] = {"frame_stack": row.frame_stack, "variables": None}
    if row.kind == CUSTOM:
        file, _, name = row.module.rpartition(":")
        return asked | {"encoder": CUSTOM, "module": file, "class": name, "kwargs": json.loads(json.dumps(row.kwargs))}
    asked |= {"encoder": row.encoder, "feature_size": row.feature_size}
    if row.learns_from == "probe":
        asked |= {"variables": variables and [*variables], "classes": classes, "shared": _shared(row)}
    return asked


def _check(path: str | os.PathLike, header: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """`UserError` naming the first thing in which a header is not as asked."""
    for name, value in asked.items():
        found = header.get(name, 1 if name == "frame_stack" else None)
        if (type(found), found) != (type(value), value):
            said = f"is of the {name.replace('_', ' ')} {found!r}, not {value!r} as the configuration says"
            raise UserError(f"{path} {said}: name the right file, or make the encoder again")


def _custom(path: str | os.PathLike, row: Method, header: Mapping[str, Any]) -> nn.Module:
    file, _, name = row.module.rpartition(":")
    if custom.sha256(file) != header.get("module_sha256"):
        raise UserError(f"{file} has changed since {path} was made of it: make the encoder again")
    seed = header.get("module_seed")
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise UserError(f"{path} has the module seed {seed!r}, which is none: make the encoder again")
    return custom.make(file, name, row.kwargs, seed)


def _ours(row: Method, variables: Sequence[str] | None, classes: int | None) -> nn.Module:
    generator = torch.Generator()
    make = partial(build, row.encoder, row.feature_size, generator, row.frame_stack)
    if row.learns_from != "probe":
        return make()
    return (SharedClassifier if _shared(row) else Classifier)(make, len(variables), classes, generator)


def _shared(row: Method) -> bool:
    return row.kind == "supervised-shared"


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


# Not inference mode: the encoder is moved in here, and its weights would be unfit for training ever after.
@torch.no_grad()
def encode(encoder: nn.Module, frames: np.ndarray | torch.Tensor, device: torch.device) -> np.ndarray:
    """Features of uint8 frames (n, 210, 160) or (n, C, 210, 160), in order: (n, d) float32.

    In float32 whatever the encoder was trained in: features are made once. The frames go to ``device`` batch by batch.
    """
    encoder = encoder.to(device).eval()
    if isinstance(encoder, Encoder):  # somebody else's may rely on the order of its weights
        channels_last(encoder)
    batches = torch.as_tensor(frames).split(_BATCH[device.type])
    prepare = _with_channels if isinstance(encoder, Encoder) else scale
    return torch.cat([encoder(prepare(batch.to(device))).float() for batch in batches]).cpu().numpy()


@torch.no_grad()
def classify(classifier: nn.Module, frames: np.ndarray | torch.Tensor, device: torch.device) -> np.ndarray:
    """The likeliest value of each variable, (n, V) int64, of uint8 frames as for `encode`, by a `Classifier`."""
    classifier = classifier.to(device).eval()
    batches = torch.as_tensor(frames).split(_BATCH[device.type])
    return torch.cat([classifier(_with_channels(batch.to(device))).argmax(-1) for batch in batches]).cpu().numpy()
