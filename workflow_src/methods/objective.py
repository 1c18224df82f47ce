"""What a method is: an encoder with heads, a way to draw frames, and a loss. The registry of methods by kind."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from workflow_src import encoders
from workflow_src.config import Method, MethodProtocol
from workflow_src.episodes.dataset import draw


@dataclass(frozen=True)
class EpisodeIndex:
    """Where a part's frames stand in the tensor of frames: episode after episode, each without gaps."""

    first: np.ndarray  # int64 (E,): position of each episode's first frame
    lengths: np.ndarray  # int64 (E,): frames an episode


class Objective(nn.Module):
    """Base of all methods. ``self.encoder`` is what is kept; everything else is thrown away after training."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__()
        self.encoder = encoders.build(settings.encoder, settings.feature_size, generator)

    def draw(self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator) -> np.ndarray:
        """Positions of the frames of one epoch's examples: int64 (examples, frames an example)."""
        raise TypeError(f"{type(self).__name__} learns nothing")

    def forward(self, frames: torch.Tensor) -> dict[str, torch.Tensor]:
        """The loss of a batch as named terms, whose sum is minimised; frames uint8 (B, frames an example, 210, 160)."""
        raise TypeError(f"{type(self).__name__} learns nothing")


_REGISTRY: dict[str, type[Objective]] = {}


def method(kind: str) -> Callable[[type[Objective]], type[Objective]]:
    """Register a class under its kind; a kind that stands twice is a programming error."""

    def register(cls: type[Objective]) -> type[Objective]:
        if kind in _REGISTRY:
            raise ValueError(f"two methods are called {kind}: {_REGISTRY[kind].__module__} and {cls.__module__}")
        _REGISTRY[kind] = cls
        return cls

    return register


def find(kind: str) -> type[Objective]:
    """The class of a kind; its file is imported only now, so that a job depends on its own method's file alone."""
    importlib.import_module(f"{__package__}.{kind.replace('-', '_')}")
    return _REGISTRY[kind]


def draw_pairs(episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator) -> np.ndarray:
    """Positions of consecutive frames (t-1, t), int64 (pairs, 2), for one epoch.

    As it should be: every pair of neighbours within an episode once, in random order. The 2019 code: as many draws as
    there are frames, episodes alike however long (``sampling: replacement``, Q7), t from 0 on, where t-1 is the
    episode's last frame (``wrap_pairs``, Q5).
    """
    first, lengths = episodes.first, episodes.lengths
    if not switches.wrap_pairs:  # t runs from the second frame on: leave each episode's first out
        first, lengths = first[lengths > 1] + 1, lengths[lengths > 1] - 1
    flat = draw(lengths, switches.sampling, rng)
    episode = np.repeat(np.arange(len(lengths)), lengths)[flat]
    within = flat - (np.cumsum(lengths) - lengths)[episode]
    t = first[episode] + within
    t_minus_1 = np.where((within == 0) & switches.wrap_pairs, t + lengths[episode] - 1, t - 1)
    return np.stack([t_minus_1, t], axis=1)


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear map with PyTorch's default initial values, drawn from ``generator``."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = inputs**-0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
