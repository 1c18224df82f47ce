"""Files of an agent's weights: safetensors with a header that says what made them."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from workflow_src import artifacts
from workflow_src.errors import UserError

KIND = "agent"


def save(
    path: str | os.PathLike, weights: Mapping[str, torch.Tensor], header: Mapping[str, Any]
) -> None:
    """Write the weights of a learner's network with ``header``; the same bytes for the same."""
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in weights.items()}
    artifacts.write_arrays(path, KIND, arrays, header)


def load(
    path: str | os.PathLike, network: torch.nn.Module, expected: Mapping[str, Any]
) -> dict[str, Any]:
    """Fill ``network`` with the weights of a file and return its header.

    `UserError` when the file's header disagrees with ``expected`` or its weights do not fit.
    """
    arrays, header = artifacts.read_arrays(path, KIND)
    for name, value in expected.items():
        if header.get(name) != value:
            raise UserError(
                f"{path} was made with {name} {header.get(name)}, not {value}: name the right "
                "file, or train the agent again"
            )
    try:
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise UserError(
            f"{path} does not fit this agent's network: train the agent again with this version"
        ) from error
    return header
