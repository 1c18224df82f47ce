"""The frame store: its size, and reading it in order or chunk by chunk in random order."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from speed import frames, limits
from speed.measure import Bench, Row, interleaved, row, script
from workflow_src.config.run import defaults
from workflow_src.episodes.store import CHUNK, FRAME_BYTES, FrameStore


def through(file: Path, passes: int) -> float:
    """GB of frames a second, read in order by one core."""
    store = FrameStore.open(file)
    start = time.perf_counter()
    for _ in range(passes):
        for _ in store.chunks():
            pass
    return passes * len(store) * FRAME_BYTES / 1e9 / (time.perf_counter() - start)


def at_random(file: Path, passes: int) -> float:
    """GB of frames a second, each whole chunk read alone and in random order."""
    store = FrameStore.open(file)
    chunks = (
        np.random.default_rng(0)
        .permutation(np.tile(np.arange(len(store) // CHUNK), passes))
        .tolist()
    )
    buffer = np.empty((CHUNK, *store.chunk(0).shape[1:]), np.uint8)
    start = time.perf_counter()
    for chunk in chunks:
        store.chunk(chunk, buffer)
    return len(chunks) * CHUNK * FRAME_BYTES / 1e9 / (time.perf_counter() - start)


def touched(file: Path) -> float:
    """Per cent of an open file that reading one chunk takes: bytes read, and pages mapped."""
    store = FrameStore.open(file)
    buffer = store.chunk(0)
    process = psutil.Process()

    def so_far() -> int:
        return process.io_counters().read_chars + process.memory_info().shared

    so_far()
    cost = -so_far() + so_far()  # of asking: it reads files itself
    before = so_far()
    store.chunk(len(store) // CHUNK // 2, buffer)
    return 100 * (so_far() - before - cost) / file.stat().st_size


def rows(at: Bench) -> Iterator[Row]:
    """Size in per cent of the raw bytes, GB of frames read a second, and the cost of a chunk."""
    games = defaults({}).games[: at.size(22, 2)]
    number = at.size(4096, 300)
    files = [frames.played(at, number, game) for game in games]
    stored = sum(file.stat().st_size for file in files)
    yield Row(
        f"store size, {len(games)} games",
        "% of raw",
        100 * stored / (len(files) * number * FRAME_BYTES),
    )
    file = frames.played(at, at.size(50_000, 600), "mspacman")  # of which a frame takes most
    limit = partial(limits.copy, at.size(256, 1), at.size(1, 0))
    order, alone = (partial(side, file, at.size(2, 1)) for side in (through, at_random))
    yield row(
        "store read in order", "GB/s", interleaved(at.rounds, {"ours": order, "limit": limit})
    )
    yield row(
        "store read by chunk, at random (limit: in order)",
        "GB/s",
        interleaved(at.rounds, {"ours": alone, "limit": order}),
    )
    yield row(
        "store, bytes for one chunk", "% of file", interleaved(1, {"ours": partial(touched, file)})
    )


if __name__ == "__main__":
    script(rows)
