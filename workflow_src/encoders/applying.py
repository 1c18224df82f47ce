"""Encoding and classifying frames, batch by batch."""

import numpy as np
import torch
from torch import nn

from workflow_src.encoders.base import Encoder, as_channels_last
from workflow_src.encoders.conditioning import Conditioned

# Frames encoded at once. On a processor, larger tensors than these go back to the operating system
# after every layer.
_BATCH = {"cpu": 64, "cuda": 1024}


def scale(frames: torch.Tensor) -> torch.Tensor:
    """uint8 frames (N, 210, 160) or (N, C, 210, 160) -> float32 (N, C, 210, 160) in [0, 1]."""
    return _with_channels(frames).float().div_(255)


def _with_channels(frames: torch.Tensor) -> torch.Tensor:
    """Frames (N, 210, 160), (N, C, 210, 160) or, in colour, (N, stack, 3, 210, 160): with channels.

    Those of colours are the colours of the oldest frame, then those of the next.
    """
    if frames.ndim == 5:
        return frames.flatten(1, 2)
    return frames if frames.ndim == 4 else frames.unsqueeze(1)


def channels_last(module: nn.Module) -> nn.Module:
    """``module`` with the weights of its convolutions in channels-last order."""
    for parameter in module.parameters():
        if parameter.ndim in (4, 5):
            parameter.data = as_channels_last(parameter.data)
    return module


# Not inference mode: the encoder is moved in here, and its weights could not be trained afterwards.
@torch.no_grad()
def encode(
    encoder: nn.Module, frames: np.ndarray | torch.Tensor, device: torch.device
) -> np.ndarray:
    """Features of uint8 frames (n, 210, 160) or (n, C, 210, 160), in order: (n, d) float32.

    In float32 whatever the encoder was trained in: features are made once. The frames go to
    ``device`` batch by batch.
    """
    encoder = encoder.to(device).eval()
    inner = encoder.encoder if isinstance(encoder, Conditioned) else encoder
    if isinstance(inner, Encoder):  # somebody else's may rely on the order of its weights
        channels_last(inner)
    batches = torch.as_tensor(frames).split(_BATCH[device.type])
    prepare = _with_channels if isinstance(inner, Encoder) else scale
    return (
        torch.cat([encoder(prepare(batch.to(device))).float() for batch in batches]).cpu().numpy()
    )


@torch.no_grad()
def classify(
    classifier: nn.Module, frames: np.ndarray | torch.Tensor, device: torch.device
) -> np.ndarray:
    """The most likely value of each variable by a classifier: frames as for `encode` -> (n, V)."""
    classifier = classifier.to(device).eval()
    batches = torch.as_tensor(frames).split(_BATCH[device.type])
    return (
        torch.cat([classifier(_with_channels(batch.to(device))).argmax(-1) for batch in batches])
        .cpu()
        .numpy()
    )
