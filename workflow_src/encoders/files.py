"""Files of weights: safetensors with a header that says what the weights belong to.

The header decides nothing. What is built is what the configuration's row says, and a header that
disagrees is refused: a file of weights may come from anybody, and must not choose which code runs.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from workflow_src import artifacts
from workflow_src.config.methods import Method
from workflow_src.encoders import custom
from workflow_src.encoders.base import up_to
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.encoders.conditioning import Conditioned
from workflow_src.encoders.registry import of_row
from workflow_src.errors import UserError

KIND = "weights"
CUSTOM = "custom"
_HEADS = "heads/"


def save(
    path: str | os.PathLike,
    encoder: nn.Module,
    header: Mapping[str, Any],
    heads: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write an encoder's weights and those of ``heads``, with the ``header`` that `load` checks."""
    tensors = encoder.state_dict()
    tensors |= {f"{_HEADS}{name}": tensor for name, tensor in (heads or {}).items()}
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
    artifacts.write_arrays(path, KIND, arrays, header)


def load(
    path: str | os.PathLike,
    row: Method,
    variables: Sequence[str] | None = None,
    classes: int | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Build a row's encoder, or its classifier of ``variables``, with the weights of a file.

    `UserError` when the file's header disagrees with the row, or file and code do not fit.
    """
    tensors, header = _read(path)
    _check(path, header, _expected(row, variables, classes))
    encoder = _make(path, row, header, variables or (), classes or 0)
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(_HEADS)}
    if row.features is not None and {"mean", "scale"} <= weights.keys():
        encoder = Conditioned(encoder, weights["mean"], weights["scale"])
    return _filled(path, encoder, weights, header), header


def load_one(path: str | os.PathLike, row: Method) -> tuple[nn.Module, dict[str, Any]]:
    """A row's encoder alone, also that of a classifier that shares one; `UserError` as of `load`.

    Not for classifiers with an encoder for each variable.
    """
    if not row.shares_encoder:
        return load(path, row)
    tensors, header = _read(path)
    _check(path, header, {"encoder": row.encoder, "feature_size": row.feature_size})
    prefix = "encoder."
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    encoder = of_row(row, torch.Generator())
    return _filled(path, encoder, weights, header), header


def _filled(
    path: str | os.PathLike,
    encoder: nn.Module,
    weights: Mapping[str, torch.Tensor],
    header: Mapping[str, Any],
) -> nn.Module:
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{path} does not fit the encoder {header['encoder']}: train it again with this version"
        ) from error
    return encoder


def _make(
    path: str | os.PathLike,
    row: Method,
    header: Mapping[str, Any],
    variables: Sequence[str],
    classes: int,
) -> nn.Module:
    if row.module is not None:
        return _custom(path, row, header)
    return _own(row, variables, classes)


def load_heads(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """The weights of a method's heads."""
    tensors, _ = _read(path)
    return {
        name.removeprefix(_HEADS): tensor
        for name, tensor in tensors.items()
        if name.startswith(_HEADS)
    }


def _read(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    arrays, header = artifacts.read_arrays(path, KIND)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, header


def _expected(row: Method, variables: Sequence[str] | None, classes: int | None) -> dict[str, Any]:
    """What the header of a row's weights must say."""
    expected: dict[str, Any] = {"frame_stack": row.frame_stack, "variables": None}
    expected |= {"features": row.features, "of": row.of}
    expected |= {"charts": row.charts, "readout": row.readout}
    if row.module is not None:
        file, _, name = (row.module or "").rpartition(":")
        kwargs = json.loads(json.dumps(row.kwargs))
        expected |= {"input": row.input and row.input.model_dump()}
        return expected | {"encoder": CUSTOM, "module": file, "class": name, "kwargs": kwargs}
    expected |= {"encoder": row.encoder, "feature_size": row.feature_size}
    expected |= {"layer": row.inner_layer}
    expected |= {"input_scale": None if row.input_scale == "unit" else row.input_scale}
    if row.learns_from == "probe":
        expected |= {
            "variables": None if variables is None else [*variables],
            "classes": classes,
            "shared": row.shares_encoder,
        }
    return expected


def _check(path: str | os.PathLike, header: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """`UserError` naming the first entry of a header that is not as expected."""
    for name, value in expected.items():
        found = header.get(name, 1 if name == "frame_stack" else None)
        if (type(found), found) != (type(value), value):
            raise UserError(
                f"{path} has {name.replace('_', ' ')} {found!r}, but the configuration says "
                f"{value!r}: name the right file, or make the encoder again"
            )


def _custom(path: str | os.PathLike, row: Method, header: Mapping[str, Any]) -> nn.Module:
    file, _, name = (row.module or "").rpartition(":")
    if custom.sha256(file) != header.get("module_sha256"):
        raise UserError(f"{file} has changed since {path} was made: make the encoder again")
    seed = header.get("module_seed")
    if type(seed) is not int or not 0 <= seed < 2**64:
        raise UserError(f"{path} has an invalid module seed {seed!r}: make the encoder again")
    made = custom.make(file, name, row.kwargs, seed)
    return made if row.input is None else custom.resized(made, row.input.shape)


def _own(row: Method, variables: Sequence[str], classes: int) -> nn.Module:
    generator = torch.Generator()
    make = partial(of_row, row, generator)
    if row.inner_layer is not None:
        return up_to(make(), row.inner_layer)
    if row.learns_from != "probe":
        return make()
    kind = SharedClassifier if row.shares_encoder else Classifier
    return kind(make, len(variables), classes, generator)
