"""What tests of encoders share: small ones, frames, and how a refusal reads."""

import re

import numpy as np
import pytest
import torch

from workflow_src import encoders
from workflow_src.config.methods import Method
from workflow_src.errors import UserError

CPU = torch.device("cpu")
HEADER = {"encoder": "nature", "feature_size": 16, "game": "pong", "seed": 0}
ROW = Method(kind="random-cnn", feature_size=16)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(seed=0, feature_size=16, name="nature", channels=1):
    return encoders.build(name, feature_size, generator(seed), channels)


def frames(n, seed=0):
    return np.random.default_rng(seed).integers(256, size=(n, 210, 160), dtype=np.uint8)


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def refusal(call, *arguments, **named):
    with pytest.raises(UserError) as refused:
        call(*arguments, **named)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def other_than(what, found, asked):
    """What is said of a header that is not of the row."""
    said = f"w has {what} {found!r}, but the configuration says {asked!r}"
    return re.escape(f"{said}: name the right file, or make the encoder again") + "$"
