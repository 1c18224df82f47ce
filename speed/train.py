"""Training ST-DIM, against the 2019 code's loop over places and a large matrix product."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from speed import flops, frames, limits
from speed.baselines import st_dim
from speed.measure import Bench, Row, interleaved, row, script
from workflow_src import devices, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config.run import Config, defaults
from workflow_src.episodes.store import FrameStore
from workflow_src.training import loop, objective
from workflow_src.training.objective import EpisodeIndex


class Clock:
    """The generators of a training, and the times at which each pass over a part began."""

    def __init__(self):
        self.asked: list[tuple[tuple, float]] = []

    def __call__(self, *names) -> np.random.Generator:
        """The generator of that name."""
        self.asked.append((names, time.perf_counter()))
        return seeds.generator(0, *names)

    def learning(self, epoch: int) -> float:
        """Seconds of an epoch's pass over train, up to the reading of its losses."""
        return self._moment(epoch, "val") - self._moment(epoch, "train")

    def validating(self, epoch: int) -> float:
        """Seconds of an epoch's pass over val; of any epoch but the last."""
        return self._moment(epoch + 1, "train") - self._moment(epoch, "val")

    def _moment(self, epoch: int, part: str) -> float:
        moments = [when for names, when in self.asked if names[-1] == part]
        assert [names[-1] for names, _ in self.asked] == ["train", "val"] * len(moments), (
            "the loop no longer draws as it did"
        )
        return moments[epoch]


def episodes(total: int, number: int) -> EpisodeIndex:
    """``number`` episodes of equal length, one after the other: ``total`` frames."""
    length = total // number
    return EpisodeIndex(np.arange(number) * length, np.full(number, length))


def supervision(
    config: Config, method: str, store: FrameStore, game: str
) -> tuple[dict, torch.Tensor | None]:
    """What a supervised method gets besides its settings, and labels of all variables."""
    if config.methods[method].learns_from != "probe":
        return {}, None
    values = ari_labels.labels(store.ram, config.label_set, game).astype(np.int64)
    return {
        "variables": list(ari_labels.variables(config.label_set, game)),
        "classes": 256,
    }, torch.from_numpy(values)


def learn(method: str, file: Path, examples: int, change: dict, episode: int = 256) -> float:
    """Examples a second that a method of config.yaml learns from in `loop.fit`, on any device.

    One epoch of about ``examples`` is timed, after the untrained model's pass and one epoch that
    learns and warms up. Validation is one batch and not timed. ``change``: of the configuration.
    ``episode``: frames of the episodes that the frames are taken for, so that there are as many
    examples as asked for, whatever was played.
    """
    config = defaults(change)
    store = FrameStore.open(file)
    settings, switches = (
        config.methods[method].training(config.training),
        config.protocol("paper").methods,
    )
    settings = settings.model_copy(update={"epochs": 2})
    told, labels = supervision(config, method, store, store.header["game"])
    clock = Clock()
    with devices.acquire("auto", settings.threads) as device:
        model = objective.find(config.methods[method].kind)(
            config.methods[method], torch.Generator().manual_seed(0), **told
        )
        taken = min(examples, len(store))
        seen = torch.from_numpy(store.read(np.arange(len(store)))).to(device)
        measured = model.prepare(seen, episodes(taken, max(1, taken // episode)))
        loop.fit(
            model,
            seen,
            episodes(taken, max(1, taken // episode)),
            episodes(max(settings.batch_size + 1, episode), 1),
            settings,
            switches,
            clock,
            name=method,
            labels=measured if labels is None else labels.to(device),
            progress=False,
        )
    drawn = model.draw(
        episodes(taken, max(1, taken // episode)), switches, seeds.generator(0, "epoch", 2, "train")
    )
    return len(drawn) // settings.batch_size * settings.batch_size / clock.learning(2)


def theirs(file: Path, batches: int, threads: int) -> float:
    """Pairs a second of the baseline, with denormal numbers flushed to zero as in ours."""
    store = FrameStore.open(file)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return st_dim.pairs_per_second(store.read(np.arange(len(store))), batches, device=device)


def rows(at: Bench) -> Iterator[Row]:
    """Pairs a second of ST-DIM on Pong; the limit is the matrix product's rate."""
    config = defaults({})
    file = frames.played(at, at.size(4096, 300))
    gflop = flops.per_example(config.methods["st-dim"], config.training.batch_size, {})
    sides = {
        "ours": partial(
            learn, "st-dim", file, at.size(4096, 128), {"training": {"threads": at.threads}}
        ),
        "baseline": partial(theirs, file, at.size(12, 1), at.threads),
        "limit": partial(
            limits.product,
            devices.precision(config.training.precision, torch.device("cpu")),
            at.threads,
            *([256, 0] if at.tiny else []),
        ),
    }
    yield row(
        f"train st-dim ({gflop:.3f} GFLOP a pair)", "pairs/s", interleaved(at.rounds, sides), gflop
    )


if __name__ == "__main__":
    script(rows)
