"""Linear probes as in the 2019 code: a module, an optimizer and an encoding per variable.

For every batch and every variable the frames are divided by 255, encoded in float32 by the frozen
encoder, and scored by that variable's linear map, which then takes a step of its own Adam;
validation likewise. A learning rate that falls on plateaus and early stopping, by variable. Initial
weights and the order of frames come as arguments, so that both sides can have the same.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from speed.baselines.st_dim import gather
from workflow_src.config.probes import Probe

Part = tuple[np.ndarray, np.ndarray]  # frames (n, 210, 160) uint8, labels (n, V)


class VariableProbe:
    """The probe of one variable."""

    def __init__(
        self,
        encoder: nn.Module,
        weight: torch.Tensor,
        bias: torch.Tensor,
        lr: float,
        settings: Probe,
    ):
        self.encoder, self.device = encoder, next(encoder.parameters()).device
        self.linear = nn.Linear(weight.shape[1], len(weight)).to(self.device)
        self.linear.load_state_dict({"weight": weight, "bias": bias})
        self.optimizer = torch.optim.Adam(self.linear.parameters(), lr=lr, eps=settings.eps)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer,
            mode="max",
            factor=settings.plateau_factor,
            patience=settings.plateau_patience,
            min_lr=settings.min_lr,
        )
        self.best, self.stale = -1.0, 0

    def encode(self, frames: np.ndarray, index: np.ndarray) -> torch.Tensor:
        """Features of a batch."""
        with torch.no_grad():
            return self.encoder(gather(frames, index, self.device))

    def learn(self, frames: np.ndarray, labels: np.ndarray, index: np.ndarray) -> None:
        """One step."""
        wanted = torch.as_tensor(labels[index], dtype=torch.int64).to(self.device)
        loss = F.cross_entropy(self.linear(self.encode(frames, index)), wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def predict(self, frames: np.ndarray, batch_size: int) -> np.ndarray:
        """The likeliest values, (n,) int64."""
        batches = np.split(np.arange(len(frames)), range(batch_size, len(frames), batch_size))
        return (
            torch.cat([self.linear(self.encode(frames, index)).argmax(1) for index in batches])
            .cpu()
            .numpy()
        )

    def validate(self, frames: np.ndarray, labels: np.ndarray, batch_size: int) -> None:
        """Take in the accuracy of an epoch."""
        accuracy = float((self.predict(frames, batch_size) == labels).mean())
        self.scheduler.step(accuracy)
        self.best, self.stale = (
            max(accuracy, self.best),
            0 if accuracy > self.best else self.stale + 1,
        )


def fit(
    encoder: nn.Module,
    train: Part,
    val: Part,
    orders: list[np.ndarray],
    weight: torch.Tensor,
    bias: torch.Tensor,
    lr: float,
    settings: Probe,
) -> list[VariableProbe]:
    """Fit V probes from ``weight`` (V, classes, d) and ``bias``, an epoch per row of ``orders``."""
    probes = [VariableProbe(encoder, w, b, lr, settings) for w, b in zip(weight, bias, strict=True)]
    for order in orders:
        running = [(v, probe) for v, probe in enumerate(probes) if probe.stale < settings.patience]
        for index in np.split(order, range(settings.batch_size, len(order), settings.batch_size)):
            for v, probe in running:
                probe.learn(train[0], train[1][:, v], index)
        for v, probe in running:
            probe.validate(val[0], val[1][:, v], settings.batch_size)
    return probes
