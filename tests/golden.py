"""The first 300 steps of every game, as hashes: a drift of the emulator is a red test with the
game's name.

``python tests/golden.py`` adds the hashes of the installed ale-py to golden.csv; look at why they
changed before.
"""

import csv
import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np

from workflow_src.ari.labels import GAMES
from workflow_src.emulator.environment import CONTINUES, Environment

FILE = Path(__file__).with_suffix(".csv")
STEPS = 300


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def blank():
    return np.zeros((210, 160), np.uint8)


def environment(game, seed=0, **settings):
    return Environment(game, np.random.default_rng(seed), **settings)


def some_actions(env, n, seed=1):
    return np.random.default_rng(seed).integers(1, len(env.actions), n)


def steps(env, actions):
    """Play on, past every end: (frames, RAMs, rewards, end codes), a reset wherever an episode
    ends.
    """
    records = []
    for action in [None, *actions]:
        frame, ram = blank(), np.zeros(128, np.uint8)
        if action is None or records[-1][-1] != CONTINUES:
            env.reset(frame)
            reward, end = 0, CONTINUES
        else:
            reward, end = env.step(action, frame)
        env.ram(ram)
        records.append((frame, ram, reward, end))
    return [np.array(column) for column in zip(*records, strict=True)]


def hashes(game):
    """What was done first, then what came of it, so that a failure tells which side moved."""
    env = environment(game)
    actions = some_actions(env, STEPS)
    frames, ram, _, _ = steps(env, actions)
    return {"actions": sha256(actions), "ram": sha256(ram), "frames": sha256(frames)}


def golden():
    """{ale-py's version: {game: its hashes}}."""
    found = {}
    for row in csv.DictReader(FILE.open()):
        found.setdefault(row.pop("ale_py"), {})[row.pop("game")] = row
    return found


if __name__ == "__main__":
    known = golden() if FILE.exists() else {}
    known[version("ale-py")] = {game: hashes(game) for game in GAMES["paper-2019"]}
    rows = [
        {"ale_py": ale, "game": game, **row}
        for ale, games in known.items()
        for game, row in games.items()
    ]
    with FILE.open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
