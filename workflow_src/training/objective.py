"""What a method is: an encoder with heads, a way to draw frames, and a loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from workflow_src import encoders
from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.encoders.base import Float32Linear, uniform
from workflow_src.episodes.dataset import draw, stack_rows
from workflow_src.kinds import Registry

# A float32 linear map with PyTorch's default initial values: linear(inputs, outputs,
# generator=...).
linear = partial(uniform, Float32Linear)


@dataclass(frozen=True)
class EpisodeIndex:
    """Positions of a part's frames in the tensor of frames: episodes without gaps."""

    first: np.ndarray  # int64 (E,): position of each episode's first frame
    lengths: np.ndarray  # int64 (E,): frames an episode

    @property
    def rows(self) -> np.ndarray:
        """Positions of all frames, int64 (n,), episode after episode."""
        before = np.cumsum(self.lengths) - self.lengths
        return np.repeat(self.first - before, self.lengths) + np.arange(self.lengths.sum())

    def stacks(self, stack: int) -> np.ndarray:
        """Positions of all frames, each with those before it in its episode: (n, stack)."""
        return stack_rows(self.rows, np.repeat(self.first, self.lengths), stack)


class Objective(nn.Module):
    """Base of all methods. ``self.encoder`` is what probes read out; everything else are its heads.

    A file may declare these literals, which the configuration reads without loading torch:

    - ``OPTIONS``: its settings with their defaults;
    - ``LEARNS_FROM``: ``"pretrain"`` (the default), ``"probe"`` for frames with labels, or None;
    - ``PROBE``: the one probe of the method, where the configured kinds do not apply;
    - ``READS``: the frames that it is measured on, where it learns from none;
    - ``ENCODER``: settings of the row's encoder that its own is, with their values;
    - ``TERMS``: of `methods.combined`, what an option called ``terms`` may list;
    - ``DECODES``: how many frames ahead its decoder predicts, where it has a decoder.
    """

    # Of the last batch, where a method stops on its validation accuracy instead of its loss.
    accuracy: torch.Tensor | None = None
    # Names of independent models, where every parameter has them in front: each stops and lowers
    # its rate by its own validation accuracy. `accuracy` then has one value for each of them.
    parts: tuple[str, ...] = ()
    plateau: Mapping[str, Any] = {}  # of the parts: what `schedules.Limits` has but the patience

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__()
        # An `Encoder`; custom and supervised methods have other modules.
        self.encoder: Any = encoders.of_row(settings, generator)

    @property
    def header(self) -> dict[str, Any]:
        """What the header of the weights says in addition to the row's settings."""
        return {}

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Positions of the frames of one epoch's examples: int64 (examples, frames an example)."""
        raise TypeError(f"{type(self).__name__} learns nothing")

    def prepare(self, frames: torch.Tensor, train: EpisodeIndex) -> torch.Tensor | None:
        """Measure on the frames of ``train``, before anything is learned.

        ``frames``: uint8 (n, 210, 160) on the device. What is returned, a tensor with a row for
        each frame, `forward` gets as ``labels``. Called once, also where a training is resumed, so
        it depends on its arguments alone.
        """
        return None

    def generators(self) -> tuple[torch.Generator, ...]:
        """What `forward` draws from while it learns."""
        return ()

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch as named terms, whose sum is minimised.

        ``frames``: uint8 (B, frames an example, frame_stack, 210, 160); ``labels``: int64 (B,
        frames an example, V), given where the file says ``LEARNS_FROM = "probe"``, or what
        `prepare` returned.
        """
        raise TypeError(f"{type(self).__name__} learns nothing")

    def reconstruct(self, frames: torch.Tensor) -> torch.Tensor:
        """Decoded frames (N, frame_stack, 210, 160) uint8 -> the same shape, float32 in [0, 1]."""
        raise TypeError(f"{type(self).__name__} has no decoder")


_METHODS: Registry[type[Objective]] = Registry("methods")
method, find = _METHODS.register, _METHODS.find


def draw_frames(
    episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
) -> np.ndarray:
    """Positions of single frames for one epoch, int64 (frames, 1): every frame once, or Q7."""
    flat = draw(episodes.lengths, switches.sampling, rng)
    return episodes.rows[flat][:, None]


def draw_pairs(
    episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
) -> np.ndarray:
    """Positions of consecutive frames (t-1, t), int64 (pairs, 2), for one epoch.

    As it should be: every pair of neighbours within an episode once, in random order. The 2019
    code: as many draws as there are frames, episodes alike however long (``sampling: replacement``,
    Q7), t from 0 on, where t-1 is the episode's last frame (``wrap_pairs``, Q5).
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
