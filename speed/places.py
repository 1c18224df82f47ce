"""Place codes: training the linear prediction of them, and fitting it in closed form."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from speed import flops, frames
from speed.measure import Bench, Row, interleaved, row, script
from speed.methods import change, trunk
from speed.train import episodes, learn
from workflow_src import devices, encoders
from workflow_src.config.methods import Method
from workflow_src.config.run import defaults
from workflow_src.episodes.store import FrameStore
from workflow_src.training import objective

ROWS = {"place-codes": {"kind": "place-codes", "lr": 1.0e-3}, "rrr": {"kind": "rrr"}}


def fitted(file: Path, count: int, threads: int, encode_only: bool) -> float:
    """Frames a second of `rrr` from frames to weights, or of the encoder alone on them."""
    store = FrameStore.open(file)
    row = Method(kind="rrr")
    with devices.acquire("auto", threads) as device:
        played = torch.from_numpy(store.read(np.arange(min(count, len(store))))).to(device)
        model = objective.find("rrr")(row, torch.Generator().manual_seed(0))
        start = time.perf_counter()
        if encode_only:
            encoders.encode(model.encoder, played, device)
        else:
            model.prepare(played, episodes(len(played), 1))
        return len(played) / (time.perf_counter() - start)


def rows(at: Bench) -> Iterator[Row]:
    """Frames a second on Pong; limits: the trunk's rate, and the encoder's forward pass."""
    changed = change(at) | {"methods": ROWS}
    config = defaults(changed)
    file = frames.played(at, at.size(4096, 300))
    count = at.size(4096, 40)
    found = interleaved(
        at.rounds,
        {
            "trunk": partial(trunk, file, changed, at.size(3, 0)),
            "learn": partial(learn, "place-codes", file, count, changed, at.size(256, 12)),
            "rrr": partial(fitted, file, count, at.threads, False),
            "encode": partial(fitted, file, count, at.threads, True),
        },
    )
    gflop = flops.trunk(config.methods["place-codes"])
    sides = {"ours": found["learn"], "limit": found["trunk"]}
    yield row(
        f"train place-codes ({gflop:.3g} GFLOP a frame); limit: trunk", "frames/s", sides, gflop
    )
    sides = {"ours": found["rrr"], "limit": found["encode"]}
    yield row("fit rrr; limit: the encoder's forward pass", "frames/s", sides)


if __name__ == "__main__":
    script(rows)
