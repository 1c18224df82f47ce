"""How fast collecting is beside the bare emulator on the same cores: `python speed/collect.py mspacman 50000`.

Bare: `act` with the emulator's own skip of 4 and random actions, nothing else, in as many processes. Interleaved, the
medians' ratio is what counts: machines are noisy.
"""

import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import ale_py
import click
import numpy as np
from ale_py import ALEInterface, LoggerMode

from workflow_src.ari.games import rom_name
from workflow_src.config import defaults
from workflow_src.episodes.collect import collect


def play_bare(game: str, steps: int, seed: int) -> float:
    """Seconds for ``steps`` of four emulator frames, in one process, loading aside."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setInt("frame_skip", 4)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path(rom_name(game)))
    actions = ale.getMinimalActionSet()
    drawn = np.random.default_rng(seed).integers(1, len(actions), steps).tolist()
    start = time.perf_counter()
    for action in drawn:
        ale.act(actions[action])
        if ale.game_over():
            ale.reset_game()
    return time.perf_counter() - start


def bare(game: str, frames: int, workers: int) -> float:
    """Steps a second of ``workers`` bare emulators at once."""
    with ProcessPoolExecutor(workers) as pool:
        return frames / max(pool.map(play_bare, [game] * workers, [frames // workers] * workers, range(workers)))


def ours(game: str, frames: int, workers: int) -> float:
    """Steps a second of a whole collection, starting processes and storing included."""
    config = defaults({"episodes": {"frames": {"probe": frames}}})
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        collect(
            game=game,
            policy="random_agent",
            policy_settings=config.policies["random_agent"],
            settings=config.episodes,
            purpose="probe",
            seed=0,
            out=Path(directory) / "frames.b2nd",
            workers=workers,
            progress=False,
        )
        return frames / (time.perf_counter() - start)


if __name__ == "__main__":
    game, frames, workers, rounds = sys.argv[1], int(sys.argv[2]), 2, 3
    rates = [(ours(game, frames, workers), bare(game, frames, workers)) for _ in range(rounds)]
    for mine, theirs in rates:
        click.echo(f"{game}: ours {mine:.0f} steps/s, bare {theirs:.0f}, ratio {mine / theirs:.2f}")
    click.echo(f"median of {rounds}: {statistics.median(mine / theirs for mine, theirs in rates):.2f}")
