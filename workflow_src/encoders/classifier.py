"""Encoders with the classifiers that were trained with them: what the supervised methods keep.

`Classifier` is one whole encoder and one linear map for each variable, as in the 2019 code;
`SharedClassifier` is one encoder with the linear maps of all variables. Both give scores (N, V,
classes).
"""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.func import functional_call

from workflow_src.encoders.base import Encoder, Float32Linear, uniform


class Classifier(nn.Module):
    """V encoders, each with a linear classifier, as one stack: every parameter has V in front.

    One optimizer, one pass over the frames and one file for all variables of a game. The slices are
    run in turn, which is faster on a processor than one model of grouped convolutions (12
    variables, batch 64: 0.4 s a step, vmap 1.0 to 1.3 s); on CUDA a graph launches them together.
    vmap does not know autocast, so that it could not run them in bfloat16.
    """

    def __init__(
        self, build: Callable[[], Encoder], variables: int, classes: int, generator: torch.Generator
    ):
        super().__init__()
        each = [self._one(build(), classes, generator) for _ in range(variables)]
        self.one = copy.deepcopy(each[0])
        for (name, parameter), *others in zip(
            self.one.named_parameters(), *(m.parameters() for m in each), strict=True
        ):
            parameter.data = torch.stack([other.detach() for other in others])
            assert parameter.shape[0] == variables, name

    @staticmethod
    def _one(encoder: Encoder, classes: int, generator: torch.Generator) -> nn.Sequential:
        return nn.Sequential(
            encoder,
            uniform(Float32Linear, encoder.feature_size, classes, generator=generator),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Scores (N, V, classes) of frames (N, channels, 210, 160), uint8 or float in [0, 1]."""
        parameters: dict[str, torch.Tensor] = dict(self.one.named_parameters())

        def scores(which: dict[str, torch.Tensor]) -> torch.Tensor:
            return functional_call(self.one, which, (frames,))

        slices = zip(*(parameter.unbind() for parameter in parameters.values()), strict=True)
        return torch.stack(
            [scores(dict(zip(parameters, each, strict=True))) for each in slices], dim=1
        )


class SharedClassifier(nn.Module):
    """One encoder, and on its representation the linear classifiers of all variables."""

    def __init__(
        self, build: Callable[[], Encoder], variables: int, classes: int, generator: torch.Generator
    ):
        super().__init__()
        self.encoder = build()
        self.heads = uniform(
            Float32Linear,
            self.encoder.feature_size,
            variables * classes,
            generator=generator,
        )
        self.classes = classes

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Scores (N, V, classes) of frames (N, channels, 210, 160), uint8 or float in [0, 1]."""
        return self.heads(self.encoder(frames)).unflatten(1, (-1, self.classes))
