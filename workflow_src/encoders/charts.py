"""Charts: several linear maps of one encoder, and how much a frame belongs to each.

Source: Meng et al. 2023, arXiv 2305.10267.
"""

from typing import Literal

import torch

from workflow_src.encoders.base import Encoder

Readout = Literal["mean", "argmax"]


class Charts(Encoder):
    """``encoder`` with H x d values for H charts of d features, then H memberships.

    The representation is the mean of the charts or, with ``readout`` argmax, the chart to which the
    frame belongs most.
    """

    def __init__(self, encoder: Encoder, charts: int, readout: Readout):
        super().__init__(encoder.local, encoder.head, encoder.local_channels)
        self.charts, self.readout = charts, readout

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames as for `Encoder` -> the representation (N, d)."""
        return self._read(*self._split(self.head(self.local(frames))))

    def maps(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Local features (N, local_channels, H, W) and representation (N, d)."""
        local, values, membership = self.atlas(frames)
        return local, self._read(values, membership)

    def atlas(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Local features, the charts (N, H, d), and memberships (N, H), which add up to 1."""
        local = self.local(frames)
        return local, *self._split(self.head(local))

    @property
    def feature_size(self) -> int:
        """Values of a chart."""
        return self._linear.out_features // self.charts - 1

    def _split(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = values.float()
        charts = values[:, : -self.charts].unflatten(1, (self.charts, -1))
        return charts, values[:, -self.charts :].softmax(1)

    def _read(self, charts: torch.Tensor, membership: torch.Tensor) -> torch.Tensor:
        if self.readout == "mean":
            return charts.mean(1)
        most = membership.argmax(1)
        return charts[torch.arange(len(charts), device=charts.device), most]
