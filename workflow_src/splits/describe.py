"""What is in a split of the probe's frames: distinct ones, variables that stay, games."""

from pathlib import Path
from typing import Any

import numpy as np

from workflow_src import artifacts
from workflow_src.emulator.environment import TERMINATED
from workflow_src.episodes.dataset import DROPPED, KIND
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.splits.duplicates import frame_hashes


def describe(split: Path, frames: Path) -> dict[str, Any]:
    """What is in one split of the probe's frames.

    policy, game, seed; frames; distinct (their share that differ); duplicates (the share of test
    frames that occur in train or validation); kept and annotated (variables); entropy (of all
    annotated variables, in nats, their mean); games (finished ones), game_length (their mean, in
    steps) and reward (of a game, raw, the mean). The last two are NaN if no game was finished.
    `UserError` or `DamagedFile` for a damaged file, or frames that the split was not made from.
    """
    arrays, header = artifacts.read_arrays(split, KIND)
    store = FrameStore.open(frames)
    if header["frames_sha256"] != store.sha256:
        raise UserError(f"{split} was made from other frames than {frames} holds: make it again")
    reasons = [header["reasons"].index(f"duplicate in {part}") for part in ("train", "val")]
    dropped = arrays["part"] == header["parts"].index(DROPPED)
    twice = int((dropped & np.isin(arrays["reason"], reasons)).sum())
    tested = int((arrays["part"] == header["parts"].index("test")).sum())
    finished = store.game[store.end == TERMINATED]
    lengths, rewards = (
        np.bincount(store.game, weights)[finished] for weights in (None, store.reward)
    )
    variables = header["variables"].values()
    return {
        **{name: header[name] for name in ("policy", "game", "seed")},
        "frames": len(store),
        "distinct": len(np.unique(frame_hashes(store))) / len(store),
        "duplicates": twice / (twice + tested),
        "kept": sum(one["kept"] for one in variables),
        "annotated": len(variables),
        "entropy": np.mean([one["entropy"] for one in variables]),
        "games": len(finished),
        "game_length": lengths.mean() if len(finished) else np.nan,
        "reward": rewards.mean() if len(finished) else np.nan,
    }
