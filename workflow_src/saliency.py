"""Saliency: which pixels a number that a network gives depends on.

Three ways to pass a gradient back through a ReLU with input ``x`` and gradient ``g``:

- ``normal``: ``g [x > 0]``, the gradient itself (Simonyan et al., arXiv 1312.6034);
- ``deconvnet``: ``g [g > 0]`` (Zeiler and Fergus, arXiv 1311.2901);
- ``guided``: ``g [x > 0] [g > 0]`` (Springenberg et al., arXiv 1412.6806).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

MODES = ("normal", "guided", "deconvnet")
_RECTIFIERS = (F.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_)


def saliency(
    score: Callable[[torch.Tensor], torch.Tensor], frames: torch.Tensor, mode: str = "normal"
) -> np.ndarray:
    """The absolute gradient of scores (N,) with respect to uint8 frames (N, ...), as fractions.

    ``score`` gets the frames as floats in [0, 1], and may depend on each frame alone. All its
    ReLUs are passed as ``mode`` says, whether they are modules or functions. float32, like frames.
    """
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    seen = (frames.float() / 255).requires_grad_()
    with torch.enable_grad(), _Rectified(mode):
        found = score(seen)
        (gradient,) = torch.autograd.grad(found.sum(), seen)
    return gradient.abs().cpu().numpy()


class _Rectified(TorchFunctionMode):
    """Every ReLU goes back as a mode says."""

    def __init__(self, mode: str):
        super().__init__()
        self._mode = mode

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func in _RECTIFIERS:
            return _ReLU.apply(args[0], self._mode)
        return func(*args, **(kwargs or {}))


class _ReLU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, mode: str) -> torch.Tensor:
        """As any ReLU."""
        context.save_for_backward(values)
        context.mode = mode
        return values.clamp(min=0)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> Any:
        """Only what the mode lets through."""
        (values,) = context.saved_tensors
        if context.mode != "deconvnet":
            gradient = gradient * (values > 0)
        if context.mode != "normal":
            gradient = gradient.clamp(min=0)
        return gradient, None
