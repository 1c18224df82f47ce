"""Network architectures: frames -> representation. One file each; ``build`` knows them by name.

An encoder is a module that maps float frames in [0, 1], (N, 1, 210, 160), to (N, feature_size) float32. Those that spatial
losses use also give the maps of a middle layer, see `nature`.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from workflow_src import artifacts
from workflow_src.encoders.nature import NatureCNN
from workflow_src.errors import UserError

ENCODERS: dict[str, type[nn.Module]] = {"nature": NatureCNN}
KIND = "weights"
_BATCH = 256


def build(name: str, feature_size: int, generator: torch.Generator) -> nn.Module:
    """A new encoder with weights drawn from ``generator``."""
    return ENCODERS[name](feature_size, generator)


def save(path: str | os.PathLike, encoder: nn.Module, header: Mapping[str, Any]) -> None:
    """Write an encoder's weights, with ``header`` saying at least its ``encoder`` and ``feature_size``."""
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in encoder.state_dict().items()}
    artifacts.write_arrays(path, KIND, arrays, header)


def load(path: str | os.PathLike) -> tuple[nn.Module, dict[str, Any]]:
    """Read an encoder and its header from a checked file of weights; `UserError` when they do not fit each other."""
    arrays, header = artifacts.read_arrays(path, KIND)
    if header.get("encoder") not in ENCODERS:
        raise UserError(f"{path} holds weights of an unknown encoder {header.get('encoder')!r}; known: {', '.join(ENCODERS)}")
    encoder = build(header["encoder"], header["feature_size"], torch.Generator())
    try:
        encoder.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the encoder {header['encoder']}: train it again with this version") from error
    return encoder, header


def scale(frames: torch.Tensor) -> torch.Tensor:
    """uint8 frames (N, 210, 160) or (N, C, 210, 160) -> float32 (N, C, 210, 160) in [0, 1]."""
    frames = frames if frames.ndim == 4 else frames.unsqueeze(1)
    return frames.float().div_(255)


# Not inference mode: the encoder is moved in here, and its weights would be unfit for training ever after.
@torch.no_grad()
def encode(encoder: nn.Module, frames: np.ndarray | torch.Tensor, device: torch.device) -> np.ndarray:
    """Features of uint8 frames (n, 210, 160) or (n, C, 210, 160), in order: (n, d) float32.

    In float32 whatever the encoder was trained in: features are made once. The frames go to ``device`` batch by batch.
    """
    encoder = encoder.to(device, memory_format=torch.channels_last).eval()
    batches = torch.as_tensor(frames).split(_BATCH)
    return torch.cat([encoder(scale(batch.to(device))).float() for batch in batches]).cpu().numpy()
