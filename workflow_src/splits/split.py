"""Splitting frames into train, validation and test, by whole episodes unless told otherwise.

Source: arXiv 1906.08226, section 4; docs/protocol.md. The encoder's frames are split 80/20 into
train and validation, the probe's 70/10/20 into train, validation and test. Test frames that also
occur in train or validation are dropped, and so are variables with too little entropy. Every quirk
of the 2019 code is a switch of `SplitProtocol`. `episodes.dataset`, which reads the file, describes
its format.
"""

import csv
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src import artifacts, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config.section import Purpose
from workflow_src.config.splits import SplitProtocol, Splits
from workflow_src.emulator.environment import CONTINUES, TERMINATED, TRUNCATED
from workflow_src.episodes.dataset import DROPPED, KIND
from workflow_src.episodes.store import CHUNK, FrameStore
from workflow_src.errors import UserError
from workflow_src.splits.duplicates import frame_hashes, occurs_in
from workflow_src.splits.entropy import entropies

# Why a frame is in its part; the codes are positions in this list, which the file contains.
REASONS = [
    "its episode",
    "terminal frame",
    "short episode",
    "unfinished episode",
    "duplicate in train",
    "duplicate in val",
    "duplicate in pretrain",
    "not taken",
    "lone frame",
]

_MARGIN = 1.25  # of the frames that a message asks for


def split(
    *,
    game: str,
    policy: str,
    protocol: str,
    purpose: Purpose,
    seed: int,
    settings: Splits,
    switches: SplitProtocol,
    label_set: str,
    frames: Path,
    out: Path,
    exclude: Path | None = None,
    seed_protocol: str | None = None,
    percent: int = 100,
) -> None:
    """Split the frames of one store; write where each went and why, and each variable's entropy.

    ``exclude``: the encoder's frames, for a protocol that keeps them out of the probe's test part.
    ``seed_protocol``: the protocol whose name the seeds are derived from, by default ``protocol``.
    ``percent``: how much of the encoder's frames is used, as if collecting had stopped there.
    `UserError` when there are too few episodes, or when no variable or test frame is left.
    """
    store = FrameStore.open(frames)
    if store.header["game"] != game:
        raise UserError(f"{frames} holds {store.header['game']}, not {game}: name the right file")
    if purpose == "probe" and switches.remove_pretrain_duplicates and exclude is None:
        raise UserError(
            f"protocol {protocol} keeps the encoder's frames out of test "
            "(remove_pretrain_duplicates): name their file (--exclude)"
        )
    shares = getattr(settings, purpose).model_dump()
    rng = seeds.generator(seed, game, "splits", policy, seed_protocol or protocol, purpose)
    used = len(store) * percent // 100 if purpose == "pretrain" else len(store)
    part, reason, label_row = assign(store, shares, switches, rng, f"{game} ({purpose})", used)
    header: dict[str, Any] = {
        "game": game,
        "policy": policy,
        "protocol": protocol,
        "purpose": purpose,
        "seed": seed,
        "frames_sha256": store.sha256,
        "parts": [*shares, DROPPED],
        "reasons": REASONS,
    }
    if purpose == "probe":
        names = list(ari_labels.variables(label_set, game))
        labels = ari_labels.labels(store.ram[label_row], label_set, game)
        seen = part == 0 if switches.entropy_of == "train" else part < len(shares)
        measured = entropies(labels[seen])
        kept = measured >= settings.min_entropy
        header["label_set"], header["min_entropy"] = label_set, settings.min_entropy
        header["variables"] = {
            n: {"entropy": round(float(e), 9), "kept": bool(k)}
            for n, e, k in zip(names, measured, kept, strict=True)
        }
        if not kept.any():
            raise UserError(
                f"{game}: no variable of {label_set} reaches {settings.min_entropy} nats in "
                f"{len(store)} frames: collect more (episodes.frames.probe) or lower "
                "splits.min_entropy"
            )
        others = FrameStore.open(exclude) if exclude is not None else None
        drop_duplicates(store, part, reason, list(shares), others)
        if switches.drop_lone_test_frames:
            drop_lone(store.episode, part, reason, list(shares).index("test"), len(shares))
        if not (part == list(shares).index("test")).any():
            raise UserError(
                f"{game}: every test frame also occurs in train or validation: collect more than "
                f"{len(store)} frames (episodes.frames.probe)"
            )
    header["frames"] = {
        name: int((part == code).sum()) for code, name in enumerate(header["parts"])
    }
    arrays = {
        "part": part,
        "reason": reason,
        "label_row": label_row.astype(np.int32),
        "episode": store.episode,
    }
    artifacts.write_arrays(out, KIND, arrays, header)


def assign(
    store: FrameStore,
    shares: dict[str, float],
    switches: SplitProtocol,
    rng: np.random.Generator,
    name: str,
    used: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assign each of n frames to a part by its episode.

    Returns part codes and reason codes, uint8 (n,), and label rows, int64 (n,). Part
    ``len(shares)`` is dropped. ``name`` names the collection in errors. ``used``: as if collecting
    had stopped after so many frames. `UserError` when there are too few episodes.
    """
    n, dropped = len(store), len(shares)
    used = n if used is None else used
    part, reason = np.full(n, dropped, np.uint8), np.zeros(n, np.uint8)
    label_row = np.arange(n)
    starts = np.flatnonzero(np.diff(store.episode, prepend=-1))
    alive = np.ones(n, bool)

    def drop(which: np.ndarray, why: str) -> None:
        reason[which & alive] = REASONS.index(why)
        alive[which] = False

    if switches.labels_slip_at_reset:
        # The 2019 code's parallel environments reset by themselves: at the end of an episode they
        # returned the next one's first frame with the label of the moment before, and never the
        # last frame.
        starts_env = np.isin(starts, np.cumsum([0, *store.header["frames_per_env"]]))
        label_row[starts[~starts_env]] -= 1
        drop((store.end != CONTINUES) & (store.end != TRUNCATED), "terminal frame")
    unit = store.game if switches.split_by == "game" else store.episode
    late = np.arange(n) >= used
    drop(late if switches.keep_unfinished else np.isin(unit, unit[late]), "not taken")
    if not switches.keep_unfinished:
        cut = store.end == TRUNCATED
        if switches.split_by == "game":
            # An environment that stops at the loss of a life truncates a game, though no life.
            last = np.cumsum(store.header["frames_per_env"]) - 1
            cut[last] = store.end[last] != TERMINATED
        drop(np.isin(unit, unit[cut]), "unfinished episode")
    lengths = np.bincount(store.episode[alive], minlength=len(starts))
    drop((lengths < switches.min_episode_frames)[store.episode], "short episode")

    # Pairs of frames need whole episodes, so the encoder's frames stay together.
    if switches.split_by == "frame" and "test" in shares:
        unit = np.arange(n)
    units = np.unique(unit[alive])
    if len(units) < len(shares):
        need = frames_needed(store, switches, unit, len(shares)) * n // max(used, 1)
        raise UserError(
            f"{name}: {len(units)} episodes of at least {switches.min_episode_frames} frames "
            f"(by {switches.split_by}) in {used} frames, but {', '.join(shares)} need one each: "
            f"collect {need} frames or more (episodes.frames)"
        )
    if switches.shuffle_episodes:
        rng.shuffle(units)
    codes = np.full(unit.max() + 1, dropped, np.uint8)
    codes[units] = np.repeat(np.arange(dropped), part_sizes(len(units), list(shares.values())))
    part[alive] = codes[unit[alive]]
    return part, reason, label_row


def frames_needed(store: FrameStore, switches: SplitProtocol, unit: np.ndarray, parts: int) -> int:
    """About how many frames give ``parts`` units, as ``unit`` (n,) numbers them: enough, not twice.

    Lengths of units are taken as exponential, with the mean that is known of random agents, or of
    what was seen.
    """
    least = switches.min_episode_frames
    mean = _mean_length(store, switches, unit)
    # One that is long enough to count comes every so many frames.
    every = _MARGIN * mean * math.exp(min(least / mean, 20))
    for chunks in itertools.count(len(store) // CHUNK + 1):  # more than there are
        # As collecting shares them out.
        shares = CHUNK * np.bincount(np.arange(chunks) % store.header["settings"]["num_envs"])
        units = shares // every
        if switches.keep_unfinished:
            units += shares % every >= least
        if units.sum() >= parts:
            return chunks * CHUNK
    raise AssertionError("more chunks have more units")


def _mean_length(store: FrameStore, switches: SplitProtocol, unit: np.ndarray) -> float:
    """The mean length of units in frames."""
    with open(Path(__file__).with_name("lengths.csv"), newline="") as file:
        known = {row["game"]: row for row in csv.DictReader(file)}
    game = store.header["game"]
    if store.header["policy_settings"]["kind"] == "random" and game in known:
        return float(known[game]["game_frames" if switches.split_by == "game" else "life"])
    lengths = np.bincount(unit)
    return float(max(lengths.max(), lengths.mean()))


def part_sizes(units: int, shares: list[float]) -> np.ndarray:
    """How many of ``units`` each part gets: shares rounded down at the borders, at least one."""
    borders = np.floor(np.cumsum([0, *shares]) * units + 1e-9).astype(int)
    borders[-1] = units
    for i in range(1, len(shares)):
        borders[i] = max(borders[i], borders[i - 1] + 1)
    for i in range(len(shares) - 1, 0, -1):
        borders[i] = min(borders[i], borders[i + 1] - 1)
    return np.diff(borders)


def drop_duplicates(
    store: FrameStore,
    part: np.ndarray,
    reason: np.ndarray,
    parts: list[str],
    pretrain: FrameStore | None,
) -> None:
    """Drop test frames that also occur in train, validation or ``pretrain``, in place."""
    hashes = frame_hashes(store)
    known = {f"duplicate in {name}": hashes[part == parts.index(name)] for name in ("train", "val")}
    if pretrain is not None:
        known["duplicate in pretrain"] = frame_hashes(pretrain)
    for why, others in known.items():
        test = np.flatnonzero(part == parts.index("test"))
        twice = test[occurs_in(hashes[test], others)]
        part[twice], reason[twice] = len(parts), REASONS.index(why)


def drop_lone(
    episode: np.ndarray, part: np.ndarray, reason: np.ndarray, test: int, dropped: int
) -> None:
    """Drop the test frames that are alone in their episode, in place, as the 2019 code did."""
    left = np.bincount(episode[part == test], minlength=episode.max() + 1)
    lone = (part == test) & (left == 1)[episode]
    part[lone], reason[lone] = dropped, REASONS.index("lone frame")
