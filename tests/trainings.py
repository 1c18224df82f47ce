"""What tests of trainings share: switches, episodes, noise, and the step's arguments."""

import csv

import numpy as np
import torch

from workflow_src.config.methods import MethodProtocol
from workflow_src.config.run import Config
from workflow_src.training.objective import EpisodeIndex

PAPER = MethodProtocol(wrap_pairs=True, keep="last", sampling="replacement")
CORRECTED = MethodProtocol(wrap_pairs=False, keep="best", sampling="permutation")


def index(*lengths, start=0, gap=0):
    lengths = np.array(lengths)
    return EpisodeIndex(start + np.cumsum(lengths + gap) - lengths - gap, lengths)


def noise(*shape, seed=0):
    return torch.from_numpy(
        np.random.default_rng(seed).integers(256, size=(*shape, 210, 160), dtype=np.uint8)
    )


def arguments(collected, directory, **change):
    made = {"frames": collected.frames("pretrain"), "split": collected.split("pretrain")}
    named = {
        "game": "breakout",
        "policy": "random_agent",
        "protocol": "paper",
        "method": "st-dim",
        "seed": 0,
    }
    files = {name: directory / name for name in ("out", "history", "checkpoint")}
    return named | made | files | {"checkpoint_seconds": 0, "progress": False} | change


def bytes_of(directory):
    assert sorted(path.name for path in directory.iterdir()) == ["history", "out"]
    return (directory / "out").read_bytes(), (directory / "history").read_bytes()


def configured(collected, **methods):
    """The collection's configuration with these rows as its methods."""
    return Config.check(
        collected.config.model_dump(exclude={"methods", "ledger", "scaling"})
        | {"methods": methods},
        "x",
    )


def losses_of(directory):
    return list(csv.DictReader((directory / "history").read_text().splitlines()))
