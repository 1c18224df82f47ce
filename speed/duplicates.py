"""Duplicates and entropies of a probe's collection, against a Python set and a memory copy."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from speed import frames, limits
from speed.baselines import duplicates as baseline
from speed.measure import Bench, Row, interleaved, rate, row, script
from workflow_src.ari import labels as ari_labels
from workflow_src.episodes.store import FRAME_BYTES, FrameStore
from workflow_src.splits.duplicates import frame_hashes, occurs_in
from workflow_src.splits.entropy import entropies


def parts(frames: int) -> tuple[slice, slice]:
    """Rows of train and of test, by the order of collection."""
    return slice(0, frames * 7 // 10), slice(frames * 8 // 10, frames)


def ours(file: Path) -> float:
    """GB of frames a second."""

    def do() -> None:
        store = FrameStore.open(file)
        train, test = parts(len(store))
        hashes = frame_hashes(store)
        occurs_in(hashes[test], hashes[train])
        entropies(ari_labels.labels(store.ram, "paper-2019", store.header["game"]))

    return rate(len(FrameStore.open(file)) * FRAME_BYTES / 1e9, do)


def theirs(file: Path) -> float:
    """GB of frames a second; without entropies."""
    store = FrameStore.open(file)
    return rate(len(store) * FRAME_BYTES / 1e9, lambda: baseline.occurs(store, *parts(len(store))))


def rows(at: Bench) -> Iterator[Row]:
    """GB of frames a second of 50,000 frames of Ms Pac-Man; memory beside the mapped file."""
    file = frames.played(at, at.size(50_000, 600), "mspacman")
    sides = {
        "ours": partial(ours, file),
        "baseline": partial(theirs, file),
        "limit": partial(limits.copy, at.size(256, 1), at.size(1, 0)),
    }
    yield row("duplicates and entropies", "GB/s", interleaved(at.rounds, sides, beside_files=True))


if __name__ == "__main__":
    script(rows)
