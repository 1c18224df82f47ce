"""Custom encoders: a torch module from any Python file, with weights read as data.

The file is imported, so it is trusted as any program one runs; the weights are not: safetensors, or
a file of torch that holds tensors and nothing else.
"""

import hashlib
import pickle
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from workflow_src.errors import DamagedFile, UserError, explained
from workflow_src.paths import expanded


def make(file: str | Path, name: str, kwargs: Mapping[str, Any], seed: int) -> nn.Module:
    """An instance of the class ``name`` in ``file``; its random draws follow from ``seed``."""
    path = expanded(file)
    with explained("read", path):
        path.open("rb").close()
    module = types.ModuleType(f"custom_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses look for it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            # Not exec_module: its cache of compiled files takes an edit of the same length and
            # second for none.
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
            return _module_class(path, name, getattr(module, name))(**kwargs)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{path}:{name}({_call(kwargs)}) cannot be made: {_said(error)}; mend the file"
            ) from error


def _module_class(path: Path, name: str, found: Any) -> type[nn.Module]:
    """What ``name`` refers to, if it is a class of torch modules: nothing else is ever called."""
    if not isinstance(found, type):
        raise UserError(
            f"{path}:{name} is a {type(found).__name__}, not a class: "
            "name a class derived from torch.nn.Module"
        )
    if not issubclass(found, nn.Module):
        raise UserError(f"{path}:{name} is not a torch.nn.Module: derive the class from it")
    return found


class Resized(nn.Module):
    """An encoder behind frames of another size: each pixel is the mean of the area it covers."""

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, encoder: nn.Module, shape: tuple[int, int]):
        """``shape``: height and width of what ``encoder`` sees of frames (N, C, 210, 160)."""
        super().__init__()
        self.encoder = encoder
        height, width = shape
        self.register_buffer("rows", _areas(210, height), persistent=False)
        self.register_buffer("columns", _areas(160, width).T.contiguous(), persistent=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Float frames (N, C, 210, 160) -> features (N, d)."""
        return self.encoder(self.rows @ frames @ self.columns)


def _areas(source: int, target: int) -> torch.Tensor:
    """What each of ``source`` pixels adds to each of ``target``: (target, source), sums of 1."""
    edges = torch.arange(target + 1, dtype=torch.float64) * source / target
    start, end = edges[:-1, None], edges[1:, None]
    pixel = torch.arange(source, dtype=torch.float64)
    shared = (torch.minimum(end, pixel + 1) - torch.maximum(start, pixel)).clamp(min=0)
    return (shared / (end - start)).float()


def resized(encoder: nn.Module, shape: tuple[int, int] | None) -> nn.Module:
    """``encoder``, behind frames of ``shape`` unless that is None."""
    return encoder if shape is None else Resized(encoder, shape)


def load_weights(encoder: nn.Module, file: str | Path) -> None:
    """Fill ``encoder`` with the state stored in ``file``, every entry of it and no other."""
    path = expanded(file)
    with explained("read", path):
        path.open("rb").close()
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged, or holds more than tensors, which could run code when it is "
            "loaded: save the state_dict alone"
        ) from error
    # torch raises errors of many types on a damaged file, OSError and KeyError among them.
    except Exception as error:
        raise DamagedFile(f"{path} is damaged ({_said(error)}): save the weights again") from error
    if not isinstance(state, Mapping) or not all(
        isinstance(n, str) and isinstance(v, torch.Tensor) for n, v in state.items()
    ):
        raise UserError(
            f"{path} holds no state_dict: save that of the encoder, with torch.save or safetensors"
        )
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit {type(encoder).__name__}: {_said(error)}") from error


@torch.no_grad()
def feature_size(encoder: nn.Module, channels: int, what: str) -> int:
    """The width d of an encoder's features (N, d), found by encoding blank frames."""
    try:
        found = encoder.eval()(torch.zeros(2, channels, 210, 160))
    except Exception as error:
        raise UserError(
            f"{what} fails on float frames (2, {channels}, 210, 160): {_said(error)}; mend its "
            "forward"
        ) from error
    shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != 2:
        raise UserError(f"{what} gives {shape} for 2 frames, not (2, d): flatten its output")
    return found.shape[1]


def sha256(file: str | Path) -> str:
    """The checksum of a file of code."""
    with explained("read", file):
        return hashlib.sha256(expanded(file).read_bytes()).hexdigest()


def _call(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in kwargs.items())


def _said(error: Exception) -> str:
    """An error of somebody else's code in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
