"""Where the single frames of a replay memory lie: raw, or compressed one by one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import blosc2
import numpy as np
import psutil
import torch

from workflow_src.errors import UserError

if TYPE_CHECKING:
    from workflow_src.config.agents import AgentMemory as Settings

# Up to this size frames lie raw unless the settings say otherwise: it is faster.
_RAW_BYTES = 2**30
# A bound of what lz4 leaves of frames of 84 x 84: Ms Pac-Man's take 0.35 of their bytes.
_LZ4_SHARE = 0.36
_GIB = 2**30


class Raw:
    """Frames as they are, in one tensor on the device."""

    def __init__(
        self, slots: int, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ):
        self._frames = torch.zeros((slots, *shape), dtype=dtype, device=device)

    def put(self, slots: np.ndarray, frames: np.ndarray) -> None:
        """Store frames ``(n, *shape)`` in ``slots`` (n,)."""
        index = torch.from_numpy(slots).to(self._frames.device, non_blocking=True)
        self._frames[index] = torch.from_numpy(frames).to(self._frames.device, non_blocking=True)

    def get(self, slots: np.ndarray) -> torch.Tensor:
        """Frames ``(*slots.shape, *shape)`` on the device."""
        return self._frames[torch.from_numpy(slots).to(self._frames.device, non_blocking=True)]

    def bytes(self) -> int:
        """The memory that the frames take."""
        return self._frames.nbytes


class Lz4:
    """Frames of bytes, each compressed by itself, in the processor's memory."""

    def __init__(self, slots: int, shape: tuple[int, ...], device: torch.device):
        self._shape, self._device = shape, device
        self._packed: list[bytes | None] = [None] * slots
        self._options = {
            "codec": blosc2.Codec.LZ4,
            "clevel": 1,
            "typesize": 1,
            "nthreads": 1,
            "filters": [blosc2.Filter.NOFILTER],
        }

    def put(self, slots: np.ndarray, frames: np.ndarray) -> None:
        """Compress frames ``(n, *shape)`` into ``slots`` (n,)."""
        for slot, frame in zip(slots.tolist(), frames, strict=True):
            self._packed[slot] = blosc2.compress2(np.ascontiguousarray(frame), **self._options)

    def get(self, slots: np.ndarray) -> torch.Tensor:
        """Frames ``(*slots.shape, *shape)``; one that is asked for twice is decompressed once."""
        which, places = np.unique(slots, return_inverse=True)
        frames = np.zeros((len(which), *self._shape), np.uint8)
        for frame, slot in zip(frames, which.tolist(), strict=True):
            packed = self._packed[slot]
            if packed is not None:
                blosc2.decompress2(packed, dst=frame, nthreads=1)
        found = torch.from_numpy(frames)[torch.from_numpy(places.reshape(slots.shape))]
        return found.to(self._device, non_blocking=True)

    def bytes(self) -> int:
        """The memory that the frames take, with Python's own share."""
        packed = sum(len(one) + 33 for one in self._packed if one is not None)
        return packed + 8 * len(self._packed)


def build(
    settings: Settings,
    slots: int,
    shape: tuple[int, ...],
    dtype: np.dtype,
    device: torch.device,
) -> Raw | Lz4:
    """The storage that the settings ask for, of frames that are stored as ``dtype``.

    `UserError` when it does not fit the memory that is free.
    """
    raw = slots * math.prod(shape) * dtype.itemsize
    kind = settings.storage
    if kind == "lz4" and dtype != np.uint8:
        raise UserError(
            "memory.storage: lz4 is for bytes; set memory.discretise: true, or memory.storage: raw"
        )
    if kind == "auto":
        small = raw <= _RAW_BYTES or dtype != np.uint8 or device.type == "cuda"
        kind = "raw" if small else "lz4"
    _check_free(kind, raw, slots, dtype, device)
    if kind == "lz4":
        return Lz4(slots, shape, device)
    return Raw(slots, shape, torch.uint8 if dtype == np.uint8 else torch.float32, device)


def _check_free(kind: str, raw: int, slots: int, dtype: np.dtype, device: torch.device) -> None:
    needed = raw if kind == "raw" else int(raw * _LZ4_SHARE)
    if device.type == "cuda" and kind == "raw":
        free, where = torch.cuda.mem_get_info(device)[0], "of the GPU's memory"
    else:
        free, where = psutil.virtual_memory().available, "of memory"
    if needed > free:
        fits = int(slots * free / needed) // 1000 * 1000
        smaller = "memory.storage: lz4" if dtype == np.uint8 else "memory.discretise: true"
        other = f"set {smaller} or " if kind == "raw" else ""
        raise UserError(
            f"memory.size: {slots:,} frames need {needed / _GIB:.1f} GiB {where}, and "
            f"{free / _GIB:.1f} are free; {other}lower memory.size to {fits:,}"
        )
