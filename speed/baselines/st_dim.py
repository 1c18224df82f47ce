"""ST-DIM as in the 2019 code: float32, a loop over the 11 x 8 places, frames one by one.

Frames lie in memory as bytes, are gathered one by one for each batch, and divided by 255. The maps
are scored place by place, with a cross entropy for each; plain Adam. No deterministic kernels, no
channels last, and the loss is read every step, as training scripts do. The names of the parameters
are those of `workflow_src`'s, so that both can be given the same weights.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Encoder(nn.Module):
    """Encode float frames (N, 1, 210, 160) into maps (N, 128, 11, 8) and features (N, 256)."""

    def __init__(self):
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(1, 32, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 128, 4, stride=2),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Conv2d(128, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 9 * 6, 256)
        )
        for layer in [*self.local, *self.head]:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(layer.weight, 2**0.5)
                nn.init.zeros_(layer.bias)

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps and representations."""
        maps = self.local(frames)
        return maps, self.head(maps)


class STDIM(nn.Module):
    """The two losses of a batch of pairs."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.global_local = nn.Linear(256, 128)
        self.local_local = nn.Linear(128, 128)

    def forward(self, x_tm1: torch.Tensor, x_t: torch.Tensor) -> torch.Tensor:
        """The sum of both losses of float frames (B, 1, 210, 160) and those that follow them."""
        maps_tm1, _ = self.encoder(x_tm1)
        maps_t, z_t = self.encoder(x_t)
        batch, _, height, width = maps_t.shape
        target = torch.arange(batch, device=x_t.device)
        global_loss = local_loss = 0.0
        for y in range(height):
            for x in range(width):
                positive = maps_tm1[:, :, y, x]
                scores = self.global_local(z_t) @ positive.T
                global_loss = global_loss + F.cross_entropy(scores, target)
                scores = self.local_local(maps_t[:, :, y, x]) @ positive.T
                local_loss = local_loss + F.cross_entropy(scores, target)
        return (global_loss + local_loss) / (height * width)


def gather(frames: np.ndarray, index: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """A batch of frames, uint8 (n, 210, 160) -> float (B, 1, 210, 160) in [0, 1]."""
    return (
        torch.stack([torch.as_tensor(frames[i], dtype=torch.float32) for i in index])
        .unsqueeze(1)
        .to(device)
        / 255
    )


def pairs_per_second(
    frames: np.ndarray, batches: int, batch_size: int = 64, device: torch.device | str = "cpu"
) -> float:
    """The rate of ``batches`` steps; one step before them does not count."""
    model = STDIM().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, eps=1e-5)
    rng = np.random.default_rng(0)
    for step in range(batches + 1):
        if step == 1:
            start = time.perf_counter()
        t = rng.integers(1, len(frames), batch_size)
        loss = model(gather(frames, t - 1, device), gather(frames, t, device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return batches * batch_size / (time.perf_counter() - start)
