"""Training all methods but ST-DIM, against a pass through their encoder alone.

All are counted in float operations (`flops`), so that the limit of a method is the trunk's rate
over the operations of one of its examples: its decoder, GRU or heads count for it. At the paper's
batch, CPC's 64 sequences of 100 frames included; of the frames of an epoch only as many as take
some seconds.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from speed import flops, frames
from speed.measure import Bench, Row, interleaved, row, script
from speed.train import learn
from workflow_src import devices, encoders
from workflow_src.ari import labels as ari_labels
from workflow_src.config.run import defaults
from workflow_src.episodes.store import FrameStore

BATCH = 128
# Frames of the timed epoch, so that each takes seconds; CPC makes one batch of 64 sequences of
# them.
EPOCH = {"vae": 768, "pixel-pred": 768, "cpc": 256, "supervised": 512, "jsd-st-dim": 1024}
EXAMPLE = {"cpc": "sequence", "jsd-st-dim": "triple"} | dict.fromkeys(
    ("vae", "supervised", "supervised-shared", "dim"), "frame"
)


def trunk(file: Path, change: dict, seconds: float) -> float:
    """GFLOP/s of the encoder alone: forward and backward of its summed output, no optimizer."""
    config = defaults(change)
    method, settings = config.methods["st-dim"], config.training
    store = FrameStore.open(file)
    with devices.acquire("auto", settings.threads) as device:
        played = torch.from_numpy(store.read(np.arange(len(store)))).to(device)
        encoder = encoders.build(
            method.encoder, method.feature_size, torch.Generator().manual_seed(0)
        ).to(device)
        if settings.channels_last:
            encoders.channels_last(encoder)
        drawn = torch.from_numpy(
            np.random.default_rng(0).integers(0, len(store), (1000, BATCH))
        ).to(device)

        def step(index: torch.Tensor) -> None:
            encoder.zero_grad(set_to_none=True)
            with torch.autocast(
                device.type,
                torch.bfloat16,
                enabled=devices.precision(settings.precision, device) == "bfloat16",
            ):
                encoded = encoder(played[index].unsqueeze(1))
            encoded.float().sum().backward()

        wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
        step(drawn[0])
        wait()
        steps, start, taken = 0, time.perf_counter(), 0.0
        while not steps or taken < seconds:
            for index in drawn[: 100 if device.type == "cuda" else 1]:
                step(index)
                steps += 1
            wait()
            taken = time.perf_counter() - start
    return steps * BATCH / taken * flops.trunk(method)


def change(at: Bench) -> dict:
    """Of the configuration: nothing but the threads, unless for tests."""
    training = {"threads": at.threads}
    if not at.tiny:
        return {"training": training}
    return {
        "methods": {"cpc": {"options": {"sequence_length": 10}}},
        "training": training | {"batch_size": 8, "precision": "float32", "lr": 1.0e-6},
    }


def rows(at: Bench) -> Iterator[Row]:
    """Examples a second of every method that learns but ST-DIM; limit: the trunk's rate."""
    changed = change(at)
    config = defaults(changed)
    file = frames.played(at, at.size(4096, 300))
    number = len(ari_labels.variables(config.label_set, "pong"))
    learning = {
        name: method
        for name, method in config.methods.items()
        if method.learns_from and name != "st-dim"
    }
    sides = {
        name: partial(
            learn, name, file, at.size(EPOCH.get(name, 2048), 16), changed, at.size(256, 12)
        )
        for name in learning
    }
    found = interleaved(at.rounds, {"": partial(trunk, file, changed, at.size(3, 0))} | sides)
    for name, method in learning.items():
        told = (
            {"variables": ["v"] * number, "classes": config.probe.classes}
            if method.learns_from == "probe"
            else {}
        )
        gflop = flops.per_example(method, method.training(config.training).batch_size, told)
        example = EXAMPLE.get(name, "pair")
        step = f"train {name} ({gflop:.3g} GFLOP a {example}); limit: trunk"
        yield row(step, f"{example}s/s", {"ours": found[name], "limit": found[""]}, gflop)


if __name__ == "__main__":
    script(rows)
