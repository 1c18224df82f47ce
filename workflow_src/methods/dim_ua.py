"""DIM-UA: ST-DIM whose representation is an atlas of charts (Meng et al. 2023, arXiv 2305.10267).

H linear maps of the last convolution are the charts of a frame, a softmax of another linear map its
memberships q. ST-DIM's two losses are those of the mean of the charts; from them a tenth of Q is
subtracted, Q = sum over h of (q_h - 1/H)^2, mean over the batch and both frames, which rewards
memberships that are not alike. A probe gets the chart of the largest membership (``readout:
argmax``, as theirs) or the mean (``mean``), d values either way.
"""

import torch

from workflow_src.methods.st_dim import STDIM, info_nce
from workflow_src.training.objective import method

ENCODER = {"charts": 4, "readout": "argmax"}
_SHARE = 0.1  # of Q


@method("dim-ua")
class DIMUA(STDIM):
    """Deep infomax with an unbalanced atlas."""

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The three terms of a batch of pairs, uint8 (B, 2, C, 210, 160), x_tm1 first."""
        pairs = frames.transpose(0, 1).flatten(0, 1)
        local, charts, membership = self.encoder.atlas(pairs)
        local = local.float().flatten(2).unflatten(0, (2, -1)).permute(0, 3, 1, 2).contiguous()
        c_tm1, c_t = local
        z_t = charts.mean(1)[len(frames) :]
        with torch.autocast(frames.device.type, enabled=False):
            unlike = (membership - 1 / membership.shape[1]).square().sum(1).mean()
            return {
                "global_local": info_nce(self.global_local(z_t).expand(len(c_t), -1, -1), c_tm1),
                "local_local": info_nce(self.local_local(c_t), c_tm1),
                "atlas": -_SHARE * unlike,
            }
