"""Place codes: where things of each gray level are, counted from a frame without labels.

What differs from the background of a frame is taken apart by gray level, and counted by column and
by row: a position is where a profile has its mass, so a linear map that predicts profiles has made
positions linear. Beside them, a codebook at each of 14 x 10 places names the patch seen there,
which tells scores, lives and rooms.

Everything is measured on the frames that encoders learn from:

- backgrounds: the median, pixel by pixel, of frames of the same scene. Scenes are clusters of
  frames of which a large share of pixels differs, such as rooms; a game with one has one.
- levels: the gray levels that differ from the background in most frames.
- patches: the means of k-means clusters of the patches at a place, all places at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from torch import nn

from workflow_src.errors import UserError

HEIGHT, WIDTH = 210, 160
LEVELS = 10
PROFILES = LEVELS * (WIDTH + HEIGHT)  # counts of a frame: of columns and of rows, by level
PATCH = (15, 16)  # pixels
PLACES = (HEIGHT // PATCH[0]) * (WIDTH // PATCH[1])
CODES = 32  # patches of a codebook
SCENES = 8  # at most

# Frames that backgrounds, levels and codebooks are measured on.
_SAMPLE = 320
_SAMPLE_OF_LEVELS = 2048
_SAMPLE_OF_PATCHES = 1024
# Frames of different scenes differ in more than this share of their pixels, frames of one in less.
_SCENE = 0.15
_FEWEST = 5  # frames that a background is the median of
_LLOYD = 10  # iterations of k-means
_CHUNK = 512  # frames at once


class Profiles(nn.Module):
    """Backgrounds and gray levels of a game: buffers of one shape, whatever the game."""

    backgrounds: torch.Tensor
    levels: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("backgrounds", torch.zeros(SCENES, HEIGHT, WIDTH, dtype=torch.uint8))
        # The number of each gray level; LEVELS for one that is not counted.
        self.register_buffer("levels", torch.full((256,), LEVELS, dtype=torch.uint8))

    def measure(self, frames: torch.Tensor, rows: np.ndarray) -> None:
        """Fill the buffers from the frames ``rows`` of uint8 (n, 210, 160)."""
        self.to(frames.device)
        found = _backgrounds(_sample(frames, rows, _SAMPLE).cpu().numpy())
        # Where there are fewer than SCENES, the first is repeated: it never is nearer than itself.
        found = np.concatenate([found, np.repeat(found[:1], SCENES - len(found), 0)])
        self.backgrounds.copy_(torch.from_numpy(found))
        seen, pixels = torch.zeros(2, 256, dtype=torch.int64, device=frames.device)
        for chunk in _sample(frames, rows, _SAMPLE_OF_LEVELS).split(_CHUNK):
            differ = chunk != self._background(chunk)
            frame, y, x = differ.nonzero(as_tuple=True)
            cells = frame * 256 + chunk[frame, y, x]
            counts = torch.bincount(cells, minlength=len(chunk) * 256).view(-1, 256)
            seen, pixels = seen + (counts > 0).sum(0), pixels + counts.sum(0)
        # In most frames, so that a small thing is not lost to a large one that flashes; then with
        # most pixels; of two alike the darker.
        keys = list(zip((-seen).tolist(), (-pixels).tolist(), range(256), strict=True))
        chosen = [level for of, _, level in sorted(keys)[:LEVELS] if of < 0]
        self.levels.fill_(LEVELS)
        self.levels[chosen] = torch.arange(len(chosen), dtype=torch.uint8, device=frames.device)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Pixels by level, in each column and row: uint8 (n, 210, 160) -> uint8 (n, PROFILES)."""
        frame, y, x = (frames != self._background(frames)).nonzero(as_tuple=True)
        level = self.levels[frames[frame, y, x].int()]
        counted = level != LEVELS
        frame, y, x, level = (values[counted] for values in (frame, y, x, level))
        first = frame * PROFILES + level.long() * (WIDTH + HEIGHT)
        cells = torch.cat([first + x, first + WIDTH + y])
        counts = torch.bincount(cells, minlength=len(frames) * PROFILES)
        return counts.to(torch.uint8).view(len(frames), PROFILES)

    def _background(self, frames: torch.Tensor) -> torch.Tensor:
        """The background of each frame's scene: uint8 (n, 210, 160)."""
        coarse = self.backgrounds[:, None, ::5, ::4]
        differ = (frames[None, :, ::5, ::4] != coarse).sum((2, 3))
        return self.backgrounds[differ.argmin(0)]


class Codebooks(nn.Module):
    """A codebook of patches for each place."""

    centers: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centers", torch.zeros(PLACES, CODES, PATCH[0] * PATCH[1]))

    def measure(self, frames: torch.Tensor, rows: np.ndarray) -> None:
        """Fill the codebooks from the frames ``rows`` of uint8 (n, 210, 160)."""
        self.to(frames.device)
        self.centers.copy_(_k_means(_patches(_sample(frames, rows, _SAMPLE_OF_PATCHES)), CODES))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The nearest patch at each place: uint8 (n, 210, 160) -> its number, uint8 (n, PLACES)."""
        return _nearest(_patches(frames), self.centers).T.to(torch.uint8)


def in_pieces(codes: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """``codes`` of all of uint8 (n, 210, 160), made in pieces."""
    return torch.cat([codes(chunk) for chunk in frames.split(_CHUNK)])


def _sample(frames: torch.Tensor, rows: np.ndarray, size: int) -> torch.Tensor:
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, size).astype(np.int64))]
    return frames[torch.from_numpy(chosen).to(frames.device)]


@dataclass(frozen=True)
class Standardised:
    """Profiles that vary, of all frames, and what standardises them over some of these."""

    codes: torch.Tensor  # uint8 (frames, kept): pixels counted
    kept: torch.Tensor  # int64 (kept,): which of PROFILES
    mean: torch.Tensor  # (kept,) of the counts' square roots
    scale: torch.Tensor  # (kept,)

    def values(self, rows: torch.Tensor) -> torch.Tensor:
        """Those of some frames, (n, kept) float32."""
        return (self.codes[rows].float().sqrt_() - self.mean) * self.scale


def standardised(profiles: Profiles, frames: torch.Tensor, rows: np.ndarray) -> Standardised:
    """Measure ``profiles`` on the frames ``rows`` of uint8 (n, 210, 160).

    `UserError` where nothing differs from its background.
    """
    profiles.measure(frames, rows)
    codes = in_pieces(profiles, frames)
    mean, scale = standardisation(codes[torch.from_numpy(rows).to(frames.device)])
    kept = scale.nonzero().flatten()
    if not len(kept):
        raise UserError(
            f"nothing moves before its background in {len(rows)} frames: place codes need frames "
            "of a game at play"
        )
    return Standardised(codes[:, kept], kept, mean[kept], scale[kept])


def standardisation(profiles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and scale (PROFILES,) float32 of the counts' square roots; what never changes has 0.

    ``profiles``: uint8 (n, PROFILES). No deviation counts as less than a tenth of the largest.
    """
    total = torch.zeros(2, profiles.shape[1], dtype=torch.float64, device=profiles.device)
    for chunk in _float_chunks(profiles):
        total += torch.stack([chunk.sum(0), chunk.square().sum(0)]).double()
    mean, square = total / len(profiles)
    deviation = (square - mean.square()).clamp_min(0).sqrt()
    deviation[deviation < 1e-4] = 0  # of rounding
    scale = torch.where(deviation > 0, 1 / deviation.clamp_min(0.1 * deviation.max()), 0)
    return mean.float(), scale.float()


def counted(patches: torch.Tensor) -> torch.Tensor:
    """How often each code is at each place: uint8 (n, PLACES) -> int64 (PLACES, CODES)."""
    places = patches.shape[1]
    cells = patches.long() + CODES * torch.arange(places, device=patches.device)
    return torch.bincount(cells.flatten(), minlength=places * CODES).view(places, CODES)


def entropy(patches: torch.Tensor) -> torch.Tensor:
    """Nats of each place's codes: uint8 (n, PLACES) -> (PLACES,)."""
    share = counted(patches) / len(patches)
    return -(share * share.clamp_min(1e-12).log()).sum(1)


def _float_chunks(profiles: torch.Tensor) -> Iterator[torch.Tensor]:
    for chunk in profiles.split(8 * _CHUNK):
        yield chunk.float().sqrt()


def _patches(frames: torch.Tensor) -> torch.Tensor:
    """Frames (n, 210, 160) as patches in [0, 1]: (PLACES, n, pixels) float32."""
    cut = frames.unflatten(2, (-1, PATCH[1])).unflatten(1, (-1, PATCH[0]))
    return cut.permute(1, 3, 0, 2, 4).reshape(PLACES, len(frames), -1).float().div_(255)


def _backgrounds(frames: np.ndarray) -> np.ndarray:
    """The backgrounds of the scenes in (n, 210, 160), the most frequent scene's first."""
    coarse = frames[:, ::5, ::4].reshape(len(frames), -1)
    if len(frames) < 2:
        return frames[:1]
    tree = linkage(pdist(coarse, "hamming"), "average")
    scene = fcluster(tree, _SCENE, "distance")
    if scene.max() > SCENES:  # a picture that scrolls
        scene = fcluster(tree, SCENES, "maxclust")
    numbers, counts = np.unique(scene, return_counts=True)
    numbers = numbers[np.argsort(-counts, kind="stable")]
    large = [n for n in numbers if (scene == n).sum() >= _FEWEST] or [numbers[0]]
    return np.stack([np.median(frames[scene == n], axis=0).astype(np.uint8) for n in large])


def _nearest(points: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """The nearest of each place's centers: (P, n, d), (P, k, d) -> numbers (P, n)."""
    # Squared distances but for the points' own squares.
    return torch.baddbmm(
        centers.square().sum(2)[:, None], points, centers.transpose(1, 2), alpha=-2
    ).argmin(2)


def _k_means(points: torch.Tensor, k: int) -> torch.Tensor:
    """The centers (P, k, d) of k-means at each of P places, of points (P, n, d).

    They start as the point nearest to the mean and then, one after the other, the point that is
    farthest from all centers so far, which draws no random numbers.
    """
    places = torch.arange(len(points), device=points.device)
    mean = points.mean(1, keepdim=True)
    start = (points - mean).square().sum(2).argmin(1)
    centers = [points[places, start]]
    distance = torch.full(points.shape[:2], torch.inf, device=points.device)
    for _ in range(k - 1):
        distance = torch.minimum(distance, (points - centers[-1][:, None]).square().sum(2))
        centers.append(points[places, distance.argmax(1)])
    found = torch.stack(centers, 1)
    for _ in range(_LLOYD):
        belongs = F.one_hot(_nearest(points, found), k).float()
        size = belongs.sum(1)[:, :, None]
        means = belongs.transpose(1, 2) @ points / size.clamp_min(1)
        found = torch.where(size > 0, means, found)
    return found
