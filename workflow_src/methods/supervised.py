"""Supervised: encoder and linear probe trained end to end, one encoder per variable.

Source: arXiv 1906.08226, section 5.1.

Learns from the probe's frames and labels. All variables are trained at once, as one stack
(`encoders.classifier`): none has a weight in common with another, so the sum of their losses trains
each as if it were alone. As in the 2019 code, each stops by its own validation accuracy, and lowers
its learning rate when that stays on a plateau, as a probe does.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from workflow_src import encoders
from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.encoders.classifier import Classifier, SharedClassifier
from workflow_src.training.objective import EpisodeIndex, Objective, draw_frames, method

LEARNS_FROM = "probe"
PROBE = "supervised"
# As for probes: epochs without a better accuracy, what the rate is then multiplied by, its minimum.
OPTIONS = {"plateau_patience": 5, "plateau_factor": 0.2, "min_lr": 1.0e-5}


@method("supervised")
class Supervised(Objective):
    """One encoder and one linear classifier for each of the named variables."""

    classifier: type[Classifier | SharedClassifier] = Classifier

    def __init__(
        self, settings: Method, generator: torch.Generator, variables: list[str], classes: int
    ):
        nn.Module.__init__(self)
        self.variables, self.classes = variables, classes
        build = partial(encoders.of_row, settings, generator)
        self.encoder = self.classifier(build, len(variables), classes, generator)
        if self.classifier is Classifier:
            self.parts, self.plateau = tuple(variables), settings.resolved_options

    @property
    def header(self) -> dict[str, Any]:
        """Which variables the scores are of."""
        return {
            "variables": self.variables,
            "classes": self.classes,
            "shared": self.classifier is not Classifier,
        }

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Single frames."""
        return draw_frames(episodes, switches, rng)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Cross entropy per variable: frames uint8 (B, 1, C, 210, 160), labels int64 (B, 1, V)."""
        assert labels is not None
        scores = self.encoder(frames.squeeze(1)).float()
        if self.parts:
            self.accuracy = (scores.detach().argmax(-1) == labels.squeeze(1)).float().mean(0)
        losses = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none")
        return dict(zip(self.variables, losses.view(len(frames), -1).mean(0), strict=True))
