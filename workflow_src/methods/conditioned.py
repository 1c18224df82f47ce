"""Conditioned: the encoder of another method, its features standardised or whitened.

The row names the method (``of``) and ``features``: ``standardised`` divides each feature by its
standard deviation, ``whitened`` also takes their correlations away. Mean and covariance are those
of the frames that encoders learn from, so no label is seen. The map is affine: it changes how fast
a linear probe learns, not what there is to read.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from workflow_src import encoders
from workflow_src.config.methods import Method
from workflow_src.encoders.conditioning import Conditioned, Moments
from workflow_src.errors import UserError
from workflow_src.training.objective import Objective, method

LEARNS_FROM = None
# Not to learn from, but to measure.
READS = "pretrain"


@method("conditioned")
class OtherScale(Objective):
    """Another method's encoder and an affine map."""

    def __init__(
        self,
        settings: Method,
        generator: torch.Generator,
        *,
        base: Path,
        base_row: Method,
        features: Callable[[nn.Module], Iterable[np.ndarray]],
    ):
        """``base``: the weights of the method ``of``, and ``base_row`` its row.

        ``features``: those of the frames to measure on, (n, d) in pieces. `UserError` for another
        method's weights.
        """
        nn.Module.__init__(self)
        assert settings.features is not None
        encoder, header = encoders.load_one(base, base_row)
        if header.get("method") != settings.of:
            raise UserError(
                f"{base} holds {header.get('method')}, not {settings.of}: name the right file"
            )
        moments = Moments.of(features(encoder), joint=settings.features == "whitened")
        mean, scale = (
            torch.from_numpy(array.astype(np.float32))
            for array in (moments.mean, moments.map(settings.features))
        )
        self.encoder = Conditioned(encoder, mean, scale)
        own = ("encoder", "feature_size", "module", "module_sha256", "module_seed", "class")
        self._header = {name: header[name] for name in (*own, "kwargs", "layer") if name in header}
        self._header |= {"features": settings.features, "of": settings.of}

    @property
    def header(self) -> dict[str, Any]:
        """What the base's header says of its encoder, and how its features were changed."""
        return self._header
