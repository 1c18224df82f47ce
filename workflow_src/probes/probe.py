"""The step: frames, their split and an encoder -> the scores of one probe per state variable."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflow_src import artifacts, devices, encoders, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config import Config
from workflow_src.episodes.dataset import Part, Split, check_pair, load_frames, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.probes import linear, metrics
from workflow_src.probes.majority import majority

# Frames held in memory at once, 138 MB: features are all that is kept of them.
_CHUNK = 4096


def probe(
    config: Config,
    *,
    game: str,
    policy: str,
    protocol: str,
    method: str,
    seed: int,
    frames: Path,
    split: Path,
    weights: Path | None,
    out: Path,
) -> None:
    """Fit a probe for each variable that the split kept, score it on the test part, and write the scores as JSON.

    The majority baseline needs no ``weights``. Every test frame is scored once, or, where the protocol samples with
    replacement (Q7), as many are drawn as make full batches. Memory: 1 KB a frame, the RAM, and about 1 GB.
    `UserError` for files of another game or label set, for frames that the split was not made of, and as `linear.fit`.
    """
    store, shared = FrameStore.open(frames), read_split(split)
    for path, header in ((frames, store.header), (split, shared.header)):
        _same(path, "game", header.get("game"), game)
    _same(split, "purpose", shared.header.get("purpose"), "probe")
    _same(split, "label_set", shared.header.get("label_set"), config.label_set)
    check_pair(store, shared)
    settings, switches = config.probe, config.protocols[protocol].probes

    kept = [name for name, variable in shared.variables.items() if variable["kept"]]
    labels = {name: _labels(store, part, config.label_set, game, kept) for name, part in shared.parts.items()}

    def rng(what: str) -> np.random.Generator:
        return seeds.generator(seed, game, "probes", policy, protocol, method, what)

    if config.methods[method].has_encoder:
        if weights is None:
            raise UserError(f"{method} reads features out of frames: name the file of its encoder's weights")
        with devices.acquire(config.device, settings.threads) as device:
            encoder, header = encoders.load(weights)
            for what, asked in {"game": game, "method": method}.items():
                _same(weights, what, header.get(what), asked)
            features = _features(encoder, store, shared, device)
            parts = {name: linear.Features(features[name], labels[name], part.lengths) for name, part in shared.parts.items()}
            fitted = linear.fit(parts["train"], parts["val"], settings, switches, rng("fit"), device, names=kept)
            predicted = fitted.predict(features["test"])
    else:
        predicted = np.broadcast_to(majority(labels["train"]), labels["test"].shape)

    scored = np.arange(len(predicted))
    if switches.sampling == "replacement":
        scored = linear.full_batches(shared.parts["test"].lengths, settings, switches, rng("test"))
    if not len(scored):
        raise UserError(
            f"{game}: {len(predicted)} test frames are fewer than a batch of {settings.batch_size}: "
            "collect more frames (episodes.frames.probe)"
        )
    score = metrics.scores(labels["test"][scored], predicted[scored])
    variables = {
        name: {
            "f1": float(score["f1"][v]),
            "accuracy": float(score["accuracy"][v]),
            "categories": list(ari_labels.categories(name)),
            "classes": len(np.unique(labels["train"][:, v])),
            "entropy": float(shared.variables[name]["entropy"]),
            "support": len(scored),
        }
        for v, name in enumerate(kept)
    }
    content = {
        "game": game,
        "policy": policy,
        "protocol": protocol,
        "method": method,
        "seed": seed,
        "label_set": config.label_set,
        "probe": "linear" if config.methods[method].has_encoder else "majority",
        "variables": variables,
    }
    artifacts.write_json(out, content | metrics.summarise(variables))


def _same(path: Path, what: str, found: Any, asked: str) -> None:
    if found != asked:
        raise UserError(f"{path} is of the {what.replace('_', ' ')} {found}, not {asked}: name the right file")


def _labels(store: FrameStore, part: Part, label_set: str, game: str, kept: list[str]) -> np.ndarray:
    """Look up the values of the ``kept`` variables in a part: (n, V) uint8."""
    names = list(ari_labels.variables(label_set, game))
    return ari_labels.labels(store.ram[part.label_rows], label_set, game)[:, [names.index(name) for name in kept]]


def _features(encoder: torch.nn.Module, store: FrameStore, split: Split, device: torch.device) -> dict[str, np.ndarray]:
    """Encode each part's frames in one pass over the store: (n, d) float32."""
    rows = np.sort(np.concatenate([part.rows for part in split.parts.values()]))
    chunks = np.split(rows, range(_CHUNK, len(rows), _CHUNK))
    features = np.concatenate([encoders.encode(encoder, load_frames(store, chunk), device) for chunk in chunks])
    return {name: features[np.searchsorted(rows, part.rows)] for name, part in split.parts.items()}
