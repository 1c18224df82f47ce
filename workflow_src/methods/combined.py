"""Combined: any list of terms, each with its weight, over one encoder.

The option ``terms`` lists them with blanks between; a weight follows a colon: ``global-local
covariance:0.04``. The terms:

- ``global-local`` and ``local-local``: those of ST-DIM (`st_dim`), across consecutive frames;
- ``same-frame``: global-local within each frame;
- ``variance`` and ``covariance``: VICReg's terms of z (Bardes et al. 2022, arXiv 2105.04906),
  the hinge at a deviation of 1, and the squared covariances' sum divided by d;
- ``profiles``: mean squared error of one linear map from z to the profiles of the frame, each
  standardised (`encoders.places`);
- ``patches``: cross entropy of one linear map from z to the patch at each place, mean over the
  places where it varies.

With a term across frames the examples are pairs, else single frames. ``masked`` is the share of
pixels of the later frame that are set to 0, each for itself; 0 for none.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.encoders import places
from workflow_src.errors import UserError
from workflow_src.methods.st_dim import features, info_nce
from workflow_src.training.objective import (
    EpisodeIndex,
    Objective,
    draw_frames,
    draw_pairs,
    linear,
    method,
)

OPTIONS = {"terms": "global-local local-local", "masked": 0.0}
# Known terms, for the configuration.
TERMS = [
    "global-local",
    "local-local",
    "same-frame",
    "variance",
    "covariance",
    "profiles",
    "patches",
]
_ACROSS = ["global-local", "local-local"]  # terms over two frames
_LEAST_ENTROPY = 0.1  # nats of a place's patches


@method("combined")
class Combined(Objective):
    """A weighted sum of terms."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        self.weights = settings.terms
        self.masked = settings.resolved_options["masked"]
        self.generator, self.size = generator, settings.feature_size
        self.noise: torch.Generator | None = None
        channels = self.encoder.local_channels
        # In the order in which ST-DIM draws its own.
        for name, inputs in (
            ("global-local", self.size),
            ("local-local", channels),
            ("same-frame", self.size),
        ):
            if name in self.weights:
                made = linear(inputs, channels, generator=generator)
                setattr(self, name.replace("-", "_"), made)

    def prepare(self, frames: torch.Tensor, train: EpisodeIndex) -> torch.Tensor | None:
        """The codes of all frames, uint8 (n, codes), where a term predicts them."""
        found = []
        if "profiles" in self.weights:
            measured = places.standardised(places.Profiles(), frames, train.rows)
            self.register_buffer("profiles_mean", measured.mean)
            self.register_buffer("profiles_scale", measured.scale)
            self.profiles = linear(self.size, len(measured.mean), generator=self.generator)
            found.append(measured.codes)
        if "patches" in self.weights:
            codebooks = places.Codebooks()
            codebooks.measure(frames, train.rows)
            codes = places.in_pieces(codebooks, frames)
            rows = torch.from_numpy(train.rows).to(frames.device)
            kept = (places.entropy(codes[rows]) >= _LEAST_ENTROPY).nonzero().flatten()
            if not len(kept):
                raise UserError(
                    f"every patch is the same in nearly all of {len(rows)} frames: leave the term "
                    "patches out"
                )
            found.append(codes[:, kept])
            self.patches = linear(self.size, len(kept) * places.CODES, generator=self.generator)
        return torch.cat(found, 1) if found else None

    @property
    def across(self) -> bool:
        """Whether an example is a pair of frames."""
        return any(name in _ACROSS for name in self.weights)

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Pairs (t-1, t), or single frames. The epoch's masks are seeded here."""
        if self.masked:
            self.noise_seed = int(rng.integers(2**63))
            if self.noise is not None:  # always the same one, since steps may be recorded
                self.noise.manual_seed(self.noise_seed)
        return (draw_pairs if self.across else draw_frames)(episodes, switches, rng)

    def generators(self) -> tuple[torch.Generator, ...]:
        """That of the masks, once there was any."""
        return () if self.noise is None else (self.noise,)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The weighted terms of frames uint8 (B, 1 or 2, C, 210, 160), codes (B, 1 or 2, n)."""
        if self.masked:
            frames = torch.stack([*frames[:, :-1].unbind(1), self._mask(frames[:, -1])], 1)
        local, z = features(self.encoder, frames)
        with torch.autocast(frames.device.type, enabled=False):
            terms = {name: self._terms[name](self, local, z, labels) for name in self.weights}
        return {name: self.weights[name] * value for name, value in terms.items()}

    def _mask(self, frames: torch.Tensor) -> torch.Tensor:
        if self.noise is None:
            self.noise = torch.Generator(frames.device).manual_seed(self.noise_seed)
        drawn = torch.rand(frames.shape, generator=self.noise, device=frames.device)
        return frames.masked_fill(drawn < self.masked, 0)

    def _global_local(self, local: torch.Tensor, z: torch.Tensor, _: Any) -> torch.Tensor:
        return info_nce(self.global_local(z[-1]).expand(local.shape[1], -1, -1), local[0])

    def _local_local(self, local: torch.Tensor, z: torch.Tensor, _: Any) -> torch.Tensor:
        return info_nce(self.local_local(local[-1]), local[0])

    def _same_frame(self, local: torch.Tensor, z: torch.Tensor, _: Any) -> torch.Tensor:
        each = [
            info_nce(self.same_frame(of_frame).expand(len(maps), -1, -1), maps)
            for maps, of_frame in zip(local, z, strict=True)
        ]
        return torch.stack(each).mean()

    def _variance(self, local: torch.Tensor, z: torch.Tensor, _: Any) -> torch.Tensor:
        deviation = (z.var(1) + 1e-4).sqrt()
        return F.relu(1 - deviation).mean()

    def _covariance(self, local: torch.Tensor, z: torch.Tensor, _: Any) -> torch.Tensor:
        centred = z - z.mean(1, keepdim=True)
        covariance = centred.transpose(1, 2) @ centred / (z.shape[1] - 1)
        squares = covariance.square()
        off = squares.sum((1, 2)) - squares.diagonal(dim1=1, dim2=2).sum(1)
        return (off / z.shape[2]).mean()

    def _profiles(
        self, local: torch.Tensor, z: torch.Tensor, codes: torch.Tensor | None
    ) -> torch.Tensor:
        assert codes is not None
        counts = codes[..., : len(self.profiles_mean)].transpose(0, 1).float().sqrt()
        return F.mse_loss(self.profiles(z), (counts - self.profiles_mean) * self.profiles_scale)

    def _patches(
        self, local: torch.Tensor, z: torch.Tensor, codes: torch.Tensor | None
    ) -> torch.Tensor:
        assert codes is not None
        scores = self.patches(z).unflatten(2, (-1, places.CODES))
        wanted = codes[..., codes.shape[2] - scores.shape[2] :].transpose(0, 1).long()
        return F.cross_entropy(scores.flatten(0, 2), wanted.flatten())

    global_local: nn.Module
    local_local: nn.Module
    same_frame: nn.Module
    profiles_mean: torch.Tensor
    profiles_scale: torch.Tensor
    _terms: ClassVar[dict[str, Callable[..., torch.Tensor]]] = {
        "global-local": _global_local,
        "local-local": _local_local,
        "same-frame": _same_frame,
        "variance": _variance,
        "covariance": _covariance,
        "profiles": _profiles,
        "patches": _patches,
    }
