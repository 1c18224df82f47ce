"""Sharing frames out to train, validation and test by whole episodes (arXiv 1906.08226, section 4; docs/protocol.md).

The encoder's frames go 80/20 to train and validation, the probe's 70/10/20 to train, validation and
test. Test frames that also occur in train or validation are dropped, and so are variables of too
little entropy. Every quirk of the 2019 code is a switch of `SplitProtocol`. The file's format is
described in `episodes.dataset`, which reads it.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src import artifacts, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config.run import Config
from workflow_src.config.section import Purpose
from workflow_src.config.splits import SplitProtocol
from workflow_src.emulator.environment import CUT_OFF, GAME_OVER, GOES_ON, LIFE_LOST
from workflow_src.episodes.dataset import DROPPED, KIND
from workflow_src.episodes.store import CHUNK, FrameStore
from workflow_src.errors import UserError
from workflow_src.splits.duplicates import frame_hashes, occurs_in
from workflow_src.splits.entropy import entropies

# Why a frame went where it went; the codes are places in this list, which the file carries.
REASONS = [
    "its episode",
    "terminal frame",
    "short episode",
    "unfinished episode",
    "duplicate in train",
    "duplicate in val",
    "duplicate in pretrain",
    "not taken",
]

# Steps: a random agent's game is shorter than this in most games. What is assumed where none was
# seen to its end.
_LONG_GAME = 2000


def split(
    config: Config,
    *,
    game: str,
    policy: str,
    protocol: str,
    purpose: Purpose,
    seed: int,
    frames: Path,
    out: Path,
    exclude: Path | None = None,
) -> None:
    """Split the frames of one store and write where each went and why, and what each variable is worth.

    ``exclude``: the encoder's frames, for a protocol that keeps them out of the probe's test part.
    `UserError` when there are too few episodes, or when nothing is left to probe.
    """
    store = FrameStore.open(frames)
    if store.header["game"] != game:
        raise UserError(f"{frames} holds {store.header['game']}, not {game}: name the right file")
    switches = config.protocol(protocol).splits
    if purpose == "probe" and switches.remove_pretrain_duplicates and exclude is None:
        raise UserError(
            f"protocol {protocol} keeps the encoder's frames out of test (remove_pretrain_duplicates): "
            "name their file (--exclude)"
        )
    shares = getattr(config.splits, purpose).model_dump()
    rng = seeds.generator(seed, game, "splits", policy, config.seeded_as(protocol), purpose)
    taken = config.taken(protocol, len(store)) if purpose == "pretrain" else len(store)
    part, reason, label_row = assign(store, shares, switches, rng, f"{game} ({purpose})", taken)
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
        names = list(ari_labels.variables(config.label_set, game))
        labels = ari_labels.labels(store.ram[label_row], config.label_set, game)
        seen = part == 0 if switches.entropy_of == "train" else part < len(shares)
        measured = entropies(labels[seen])
        kept = measured >= config.splits.min_entropy
        header["label_set"], header["min_entropy"] = config.label_set, config.splits.min_entropy
        header["variables"] = {
            n: {"entropy": round(float(e), 9), "kept": bool(k)}
            for n, e, k in zip(names, measured, kept, strict=True)
        }
        if not kept.any():
            raise UserError(
                f"{game}: no variable of {config.label_set} reaches {config.splits.min_entropy} nats in {len(store)} frames: "
                "collect more (episodes.frames.probe) or lower splits.min_entropy"
            )
        others = FrameStore.open(exclude) if exclude is not None else None
        drop_duplicates(store, part, reason, list(shares), others)
        if not (part == list(shares).index("test")).any():
            raise UserError(
                f"{game}: every test frame also occurs in train or validation: collect more than {len(store)} frames "
                "(episodes.frames.probe)"
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
    what: str,
    taken: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each of n frames goes by its episode: part codes and reason codes, uint8 (n,), and label rows, int64 (n,).

    Part ``len(shares)`` is dropped. ``what`` names the collection in errors. ``taken``: as if
    collecting had stopped after so many frames.
    """
    n, dropped = len(store), len(shares)
    taken = n if taken is None else taken
    part, reason = np.full(n, dropped, np.uint8), np.zeros(n, np.uint8)
    label_row = np.arange(n)
    starts = np.flatnonzero(np.diff(store.episode, prepend=-1))
    alive = np.ones(n, bool)

    def drop(which: np.ndarray, why: str) -> None:
        reason[which & alive] = REASONS.index(why)
        alive[which] = False

    if switches.labels_slip_at_reset:
        # The 2019 code's parallel environments reset by themselves: at an episode's end they gave
        # the next one's first frame with the label of the moment before. The last frame was never
        # seen.
        fresh_stream = np.isin(starts, np.cumsum([0, *store.header["streams"]]))
        label_row[starts[~fresh_stream]] -= 1
        drop((store.end != GOES_ON) & (store.end != CUT_OFF), "terminal frame")
    unit = store.game if switches.episode == "game" else store.episode
    late = np.arange(n) >= taken
    drop(late if switches.keep_unfinished else np.isin(unit, unit[late]), "not taken")
    if not switches.keep_unfinished:
        cut = store.end == CUT_OFF
        if (
            switches.episode == "game"
        ):  # a stream that ends with the loss of a life has cut off a game, though no life
            last = np.cumsum(store.header["streams"]) - 1
            cut[last] = store.end[last] != GAME_OVER
        drop(np.isin(unit, unit[cut]), "unfinished episode")
    lengths = np.bincount(store.episode[alive], minlength=len(starts))
    drop((lengths < switches.min_episode_frames)[store.episode], "short episode")

    units = np.unique(unit[alive])
    if len(units) < len(shares):
        need = frames_needed(store, unit, len(units), len(shares)) * n // max(taken, 1)
        raise UserError(
            f"{what}: {len(units)} episodes of at least {switches.min_episode_frames} frames (by {switches.episode}) in "
            f"{taken} frames, but {', '.join(shares)} need one each: collect {need} frames or more (episodes.frames)"
        )
    if switches.shuffle_episodes:
        rng.shuffle(units)
    codes = np.full(unit.max() + 1, dropped, np.uint8)
    codes[units] = np.repeat(np.arange(dropped), part_sizes(len(units), list(shares.values())))
    part[alive] = codes[unit[alive]]
    return part, reason, label_row


def frames_needed(store: FrameStore, unit: np.ndarray, found: int, parts: int) -> int:
    """Frames that will do, by a generous guess, where ``store`` has ``found`` usable units and ``parts`` need one each."""
    by_rate = parts * len(store) / max(found, 1)
    # However many the frames, a stream finishes nothing that is longer than itself.
    longest = np.bincount(unit).max()
    if not np.isin(store.end, (LIFE_LOST, GAME_OVER)).any():
        longest = max(2 * longest, _LONG_GAME)
    streams = store.header["settings"]["streams"]
    by_stream = streams * (math.ceil(parts / streams) * longest + CHUNK)
    return math.ceil(1.5 * max(by_rate, by_stream) / 1000) * 1000


def part_sizes(units: int, shares: list[float]) -> np.ndarray:
    """How many of ``units`` go to each part: the shares rounded down at each border, but at least one a part."""
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
    """Drop test frames that occur in train or validation (or among the encoder's frames), in place, saying where."""
    hashes = frame_hashes(store)
    known = {f"duplicate in {name}": hashes[part == parts.index(name)] for name in ("train", "val")}
    if pretrain is not None:
        known["duplicate in pretrain"] = frame_hashes(pretrain)
    for why, others in known.items():
        test = np.flatnonzero(part == parts.index("test"))
        twice = test[occurs_in(hashes[test], others)]
        part[twice], reason[twice] = len(parts), REASONS.index(why)
