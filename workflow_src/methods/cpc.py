"""CPC: contrastive predictive coding (van den Oord et al. 2018, arXiv 1807.03748).

As in arXiv 1906.08226, section 5.1.

A GRU reads sequences of representations; from its state at t a linear map for each horizon k
predicts z_{t+k}. InfoNCE for each horizon, the negatives being the targets of that horizon at all
times of all sequences in the batch; summed over the horizons 1, 5, 9, ... As in the 2019 code:
sequences of 100, a GRU of 2 layers of 256, Adam's eps 1e-8, as many sequences an epoch as there are
episodes long enough, times the sequence's length (or as there are places to begin, without
replacement).

A paper's batch is large, 6,400 frames and 341 million scores. So the encoder takes its frames piece
by piece, and makes their maps again for the gradient (else 1.8 GB). All horizons are one batched
product with the same targets; its rows are taken in chunks of at most `_SCORES` scores, whose
gradient is made at once. That leaves predictions and their gradient, 164 MB each, and half as much
again for those rows that have a target.
"""

import functools

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from workflow_src.config.methods import Method, MethodProtocol
from workflow_src.devices import product
from workflow_src.errors import UserError
from workflow_src.training.objective import EpisodeIndex, Objective, linear, method

OPTIONS = {"sequence_length": 100, "horizon_step": 4, "gru_size": 256, "gru_layers": 2}
_SCORES, _FRAMES = 2**23, 256


@method("cpc")
class CPC(Objective):
    """Predictions of the representations to come."""

    def __init__(self, settings: Method, generator: torch.Generator):
        super().__init__(settings, generator)
        options = settings.resolved_options
        self.length = options["sequence_length"]
        if self.length < 2:
            raise UserError(
                "cpc: options.sequence_length is 1, and there would be nothing to predict: set it "
                "to 2 or more"
            )
        self.horizons = tuple(range(1, self.length, options["horizon_step"]))
        # The GRU has no way to be made without initial values of its own.
        with torch.random.fork_rng(devices=[]):
            self.gru = nn.GRU(settings.feature_size, options["gru_size"], options["gru_layers"])
        for parameter in self.gru.parameters():
            nn.init.uniform_(
                parameter,
                -(options["gru_size"] ** -0.5),
                options["gru_size"] ** -0.5,
                generator=generator,
            )
        self.predict = linear(
            options["gru_size"], len(self.horizons) * settings.feature_size, generator=generator
        )

    def draw(
        self, episodes: EpisodeIndex, switches: MethodProtocol, rng: np.random.Generator
    ) -> np.ndarray:
        """Sequences, int64 (sequences, length), each within one episode.

        2019: episodes alike, however long, with replacement (Q7). As it should be: all places where
        a sequence can begin alike, none twice.
        """
        long = episodes.lengths >= self.length
        first, places = episodes.first[long], episodes.lengths[long] - self.length + 1
        if not long.any():
            raise UserError(
                f"cpc: no episode has {self.length} frames, the longest {episodes.lengths.max()}: "
                "collect more frames or lower options.sequence_length"
            )
        number = len(first) * self.length
        if switches.sampling == "replacement":
            episode = rng.integers(len(first), size=number)
            start = first[episode] + (rng.random(number) * places[episode]).astype(np.int64)
        else:
            start = (
                np.repeat(first - np.cumsum(places) + places, places) + np.arange(places.sum())
            )[rng.permutation(places.sum())[:number]]
        return start[:, None] + np.arange(self.length)

    def forward(
        self, frames: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch of sequences, uint8 (B, length, C, 210, 160)."""
        # Time first, so that the targets of a horizon are one block.
        pieces = frames.transpose(0, 1).flatten(0, 1).split(_FRAMES)
        z = torch.cat(
            [
                checkpoint(self.encoder, piece, use_reentrant=False, preserve_rng_state=False)
                for piece in pieces
            ]
        )
        with torch.autocast(frames.device.type, enabled=False):
            z = z.float().unflatten(0, (self.length, -1))
            predictions = self.predict(self.gru(z)[0]).unflatten(-1, (len(self.horizons), -1))
            loss, self.accuracy = info_nce(predictions, z, self.horizons)
            return {"info_nce": loss}


def info_nce(
    predictions: torch.Tensor, z: torch.Tensor, horizons: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """InfoNCE of predictions (L, B, K, d) of z (L, B, d), summed over the K ``horizons``.

    Each is the mean over times and batch. Second, how often the positive has the highest score, the
    mean over horizons: what training stops on, as in the 2019 code. It is counted where nothing
    learns, else 0, for it takes another pass over the scores.

    Row (t, b) of horizon k is positive with z_{t+k, b} and negative with all other z of times k to
    L - 1.
    """
    length, batch = z.shape[:2]
    which, times, chunks = _plan(
        horizons, length, batch, max(1, _SCORES // (batch * batch * length)), z.device
    )
    rows = predictions.permute(2, 0, 1, 3)[which, times]  # (rows, B, d), ordered by horizon
    loss, hits = _InfoNCE.apply(rows, z, chunks)
    return loss, hits / len(horizons)


@functools.cache  # not emptied: recorded steps read what is on the device where it is
def _plan(
    horizons: tuple[int, ...], length: int, batch: int, size: int, device: torch.device
) -> tuple:
    """What does not change from batch to batch, on the device so that no step waits for it.

    The horizon and time of each row, and of each chunk of ``size`` rows: its rows and the least
    horizon (no earlier z is a target), the positives' places among the targets from there on, the
    targets that are too early for a row, and each row's weight.
    """
    horizon, now = torch.tensor(horizons)[:, None], torch.arange(length)
    ahead = now + horizon < length  # (K, L): a prediction whose target is in the sequence
    which, times = ahead.nonzero(as_tuple=True)
    k = horizon.squeeze(1)[which]
    chunks, stop = [], 0
    for k_c, t_c in zip(k.split(size), times.split(size), strict=True):
        first, start, stop = int(k_c[0]), stop, stop + len(k_c)
        positive = ((t_c + k_c - first)[:, None] * batch + torch.arange(batch)).flatten()[:, None]
        constants = (
            positive,
            now[first:] < k_c[:, None],
            (1 / (batch * (length - k_c))).repeat_interleave(batch)[:, None],
        )
        chunks.append((slice(start, stop), first, *(constant.to(device) for constant in constants)))
    return which.to(device), times.to(device), chunks


class _InfoNCE(torch.autograd.Function):
    """Weighted cross entropy of rows (R, B, d) with targets z (L, B, d), and its gradients.

    The gradient of the scores is softmax - one-hot, so that a chunk's scores are made once, turned
    into it where they are, and forgotten: three products instead of the four of a checkpoint, and
    half of the passes over the scores.
    """

    @staticmethod
    def forward(
        ctx, rows: torch.Tensor, z: torch.Tensor, chunks: list[tuple]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        learn = any(ctx.needs_input_grad)
        hits = torch.zeros((), dtype=rows.dtype, device=rows.device)
        losses, slopes, slope_z = [], torch.empty_like(rows), torch.zeros_like(z)
        for which, first, positive, early, weight in chunks:
            x, targets = rows[which].flatten(0, 1), z[first:].flatten(0, 1)
            scores = product(x, targets).view(len(early), z.shape[1], -1, z.shape[1])
            log_p = (
                scores.masked_fill_(early[:, None, :, None], -torch.inf)
                .view(len(x), -1)
                .log_softmax(1)
            )
            right = log_p.gather(1, positive)
            losses.append(-(right * weight).sum())
            if not learn:
                hits += ((right >= log_p.amax(1, keepdim=True)) * weight).sum()
            if learn:
                slope = log_p.exp_()
                slope = slope.scatter_(1, positive, slope.gather(1, positive) - 1).mul_(weight)
                slopes[which] = product(slope, targets.T).view_as(slopes[which])
                slope_z[first:] += product(slope.T, x.T).view_as(slope_z[first:])
        if learn:
            ctx.save_for_backward(slopes, slope_z)
        ctx.mark_non_differentiable(hits)
        return torch.stack(losses).sum(), hits

    @staticmethod
    def backward(
        ctx, slope: torch.Tensor, _: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        slopes, slope_z = ctx.saved_tensors
        return slope * slopes, slope * slope_z, None
