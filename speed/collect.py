"""Collecting, with start-up and storage, against `AsyncVectorEnv` and the bare emulator."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from speed import frames, limits
from speed.baselines import collect as baseline
from speed.measure import Bench, Row, interleaved, rate, row, script
from workflow_src.config.run import defaults

GAMES = {"pong": "Pong", "mspacman": "Ms Pac-Man"}


def ours(game: str, steps: int, workers: int) -> float:
    """Steps a second of a whole collection."""
    with tempfile.TemporaryDirectory() as directory:
        return rate(
            steps, lambda: frames.gather(game, steps, Path(directory) / "frames.b2nd", workers)
        )


def theirs(game: str, steps: int, workers: int) -> float:
    """Steps a second of the baseline, which starts its processes too."""
    return rate(steps, lambda: baseline.collect(game, steps, workers))


def rows(at: Bench) -> Iterator[Row]:
    """Steps a second of Pong and Ms Pac-Man, on all cores that a collection uses."""
    workers = min(at.cores, defaults({}).episodes.num_envs)
    for game, name in GAMES.items():
        sides = {
            "ours": partial(ours, game, at.size(50_000, 600), workers),
            "baseline": partial(theirs, game, at.size(20_000, 100), workers),
            "limit": partial(limits.emulator, game, at.size(40_000, 200), workers),
        }
        yield row(f"collect {name}", "steps/s", interleaved(at.rounds, sides))


if __name__ == "__main__":
    script(rows)
