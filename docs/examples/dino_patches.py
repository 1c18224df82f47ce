"""A frozen vision transformer over patches of the screen, as an encoder of the kind ``custom``.

As Khan et al. 2021 (arXiv 2106.05139) read CLIP: the frame in colour is cut into n x n patches for
each n of ``grids``, each is resized to 224 pixels and encoded, and the class tokens are
concatenated. The network is the ViT of DINO (Caron et al. 2021, arXiv 2104.14294) with its names,
so its published weights load as they are; with other sizes, those of any ViT in timm's layout
without its head. Nothing is downloaded: fetch DINO's ViT-S/16 without its head and rename it to end
in ``.pt``. Five patches are 1,920 features and 23 GFLOP a frame: a GPU's work. In config.yaml:

    dino-1x1-2x2: {kind: custom, module: dino_patches.py:DINOPatches, kwargs: {grids: [1, 2]},
                   input: {color: rgb}, weights: dino_deitsmall16_pretrain.pt}
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

# Of ImageNet's colours, with which DINO was trained.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Attention(nn.Module):
    """Self-attention of all tokens."""

    def __init__(self, size: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, T, size) -> (N, T, size)."""
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).unbind(2)
        found = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        return self.proj(found.transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Two linear maps with a GELU between."""

    def __init__(self, size: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, T, size) -> (N, T, size)."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """Attention and perceptron, each after a layer norm and added to its input."""

    def __init__(self, size: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size, eps=1e-6), nn.LayerNorm(size, eps=1e-6)
        self.attn, self.mlp = Attention(size, heads), Perceptron(size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, T, size) -> (N, T, size)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class DINOPatches(nn.Module):
    """RGB frames (N, 3, 210, 160) in [0, 1] -> class tokens of all patches, (N, d).

    ``grids``: patches a side; [1, 2] are 5 patches, 1,920 features with the sizes of DINO's ViT-S.
    ``size``, ``depth``, ``heads``, ``patch``, ``side``: of the transformer and its input.
    """

    def __init__(
        self,
        grids: Sequence[int] = (1, 2),
        size: int = 384,
        depth: int = 12,
        heads: int = 6,
        patch: int = 16,
        side: int = 224,
    ):
        super().__init__()
        self.grids, self.side = tuple(grids), side
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, size, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2 + 1, size))
        self.blocks = nn.ModuleList(Block(size, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(size, eps=1e-6)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Patches from the upper left, row by row, the first grid's first."""
        whole = (self.side, self.side)
        seen = [
            F.interpolate(patch, whole, mode="bilinear", align_corners=False)
            for grid in self.grids
            for row in frames.tensor_split(grid, 2)
            for patch in row.tensor_split(grid, 3)
        ]
        tokens = self._class_tokens(torch.cat(seen))
        return tokens.unflatten(0, (len(seen), -1)).transpose(0, 1).flatten(1)

    def _class_tokens(self, images: torch.Tensor) -> torch.Tensor:
        normal = (images - self.mean) / self.deviation
        patches = self.patch_embed.proj(normal).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], 1)
        tokens = tokens + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 0]
