"""Checkpoints: the state of a training that can be resumed, written whole and checked when read.

A checkpoint is the work in progress of one process on one machine and never an artifact: it is
safe to delete, and one that is damaged or belongs to another training costs time and nothing else.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from workflow_src import artifacts


def save(path: Path, fingerprint: str, state: Mapping[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings, lists, dictionaries) with its checksum.

    ``fingerprint`` identifies the training: see `load`.
    """
    blob = io.BytesIO()
    torch.save({"fingerprint": fingerprint, "state": dict(state)}, blob)
    with artifacts.atomic(path) as temporary:
        temporary.write_bytes(hashlib.sha256(blob.getvalue()).digest() + blob.getvalue())


def load(path: Path | None, fingerprint: str) -> dict[str, Any] | None:
    """The state in ``path``; None without one of this very training, or if it is damaged."""
    if path is None or not path.exists():
        return None
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, blob = stored[:32], stored[32:]
    # torch.load checks no sums: it would accept flipped bits, or fail with errors of any type.
    if hashlib.sha256(blob).digest() != digest:
        return None
    content = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    return content["state"] if content.get("fingerprint") == fingerprint else None
