"""Custom: the user's own encoder from a Python file, with or without weights; not trained.

The row names the class (``module: path/to/file.py:Class``), its ``kwargs`` and its ``weights``. The
step tries the encoder on two frames, which tells the feature size, and stores its state beside the
checksum of its file.
"""

from typing import Any

import torch
from torch import nn

from workflow_src.config.methods import Method
from workflow_src.encoders import custom
from workflow_src.encoders.files import CUSTOM
from workflow_src.errors import UserError
from workflow_src.training.objective import Objective, method

LEARNS_FROM = None


@method("custom")
class Custom(Objective):
    """Somebody else's encoder."""

    def __init__(self, settings: Method, generator: torch.Generator):
        nn.Module.__init__(self)
        module = settings.module or ""
        file, _, name = module.rpartition(":")
        self.encoder = custom.make(file, name, settings.kwargs, generator.initial_seed())
        if settings.weights is not None:
            custom.load_weights(self.encoder, settings.weights)
        for entry, value in self.encoder.state_dict().items():
            if (
                not isinstance(value, torch.Tensor)
                or value.dtype == torch.bfloat16
                or value.is_sparse
            ):
                kind = getattr(value, "dtype", type(value).__name__)
                raise UserError(
                    f"{module} has {entry} of {kind} in its state, which is not stored: make it "
                    "float32"
                )
        if settings.input is not None:
            self.encoder = custom.resized(self.encoder, settings.input.shape)
        self._header = {
            "encoder": CUSTOM,
            "feature_size": custom.feature_size(self.encoder, settings.channels, module),
            "module": file,
            "module_sha256": custom.sha256(file),
            "module_seed": generator.initial_seed(),
            "class": name,
            "kwargs": settings.kwargs,
        }
        if settings.input is not None:
            self._header["input"] = settings.input.model_dump()

    @property
    def header(self) -> dict[str, Any]:
        """How to make the module again."""
        return self._header
