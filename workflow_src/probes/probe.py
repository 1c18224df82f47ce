"""The step: frames, their split and an encoder or classifier -> the scores of one readout of every state variable."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflow_src import artifacts, devices, encoders, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config import Config
from workflow_src.episodes.dataset import Part, Split, check_pair, load_stacks, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError, one_of
from workflow_src.probes import fitting, linear, logistic, metrics, mlp
from workflow_src.probes.majority import majority

# Frames held in memory at once, 138 MB: features are all that is kept of them.
_CHUNK = 4096
# The probes that learn by gradient descent, see `fitting`.
_LEARNING = {"linear": linear.fit, "observed": partial(linear.fit, observed=True), "mlp": mlp.fit}


def probe(
    config: Config,
    *,
    game: str,
    policy: str,
    protocol: str,
    method: str,
    readout: str,
    seed: int,
    frames: Path,
    split: Path,
    weights: Path | None,
    out: Path,
) -> None:
    """Read out each variable that the split kept, score it on the test part, and write the scores as JSON.

    ``readout``: a kind of probe, fitted here on the features of the method's encoder; ``majority``, which needs no
    ``weights``; or ``supervised``, where ``weights`` are of a classifier that gives the values itself. Every test frame is
    scored once, or, where the protocol samples with replacement (Q7), as many are drawn as make full batches. Memory: 1 KB
    a frame, the RAM, and about 1 GB. `UserError` for a readout that the method does not have, for files of another game or
    label set, for frames that the split was not made of, and as `linear.fit`.
    """
    row = config.methods[method]
    one_of(f"probe of {method}", readout, row.readouts(config.probe))
    store, shared = FrameStore.open(frames), read_split(split)
    for path, header in ((frames, store.header), (split, shared.header)):
        _same(path, "game", header.get("game"), game)
    _same(split, "purpose", shared.header.get("purpose"), "probe")
    _same(split, "label_set", shared.header.get("label_set"), config.label_set)
    check_pair(store, shared)
    settings, switches = config.probe, config.protocol(protocol).probes

    kept = [name for name, variable in shared.variables.items() if variable["kept"]]
    labels = {name: _labels(store, part, config.label_set, game, kept) for name, part in shared.parts.items()}

    def rng(what: str) -> np.random.Generator:
        # All probes of a method begin alike and are scored on the same draw of test frames, so that they compare.
        return seeds.generator(seed, game, "probes", policy, config.seeded_as(protocol), method, what)

    if readout == "majority":
        predicted = np.broadcast_to(majority(labels["train"]), labels["test"].shape)
    else:
        if weights is None:
            raise UserError(f"{method} reads features out of frames: name the file of its encoder's weights")
        # Logistic regression is long and not for the device: encoding is not worth keeping others waiting.
        with devices.acquire(
            "cpu" if readout == "logistic" else config.device, settings.threads, config.trainings_per_gpu
        ) as device:
            supervision = (kept, settings.classes) if readout == "supervised" else ()
            model, header = encoders.load(weights, row, *supervision)
            for what, asked in {"game": game, "method": method}.items():
                _same(weights, what, header.get(what), asked)
            if readout == "supervised":
                classify = partial(encoders.classify, model, device=device)
                predicted = _by_chunk(classify, store, shared.parts["test"].rows, row.frame_stack)
            else:
                parts = _features(model, store, shared, labels, row.frame_stack, device)
            if readout in _LEARNING:
                fit = _LEARNING[readout]
                fitted = fit(parts["train"], parts["val"], settings, switches, rng("fit"), device, names=kept)
                predicted = fitted.predict(parts["test"].values)
        if readout == "logistic":
            predicted = logistic.fit(parts["train"], settings).predict(parts["test"].values)

    scored = np.arange(len(predicted))
    if switches.sampling == "replacement":
        scored = fitting.full_batches(shared.parts["test"].lengths, settings, switches, rng("test"))
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
        "probe": readout,
        "variables": variables,
    }
    artifacts.write_json(out, content | metrics.summarise(variables))


def _same(path: Path, what: str, found: Any, asked: Any) -> None:
    if found != asked:
        raise UserError(f"{path} is of the {what.replace('_', ' ')} {found}, not {asked}: name the right file")


def _labels(store: FrameStore, part: Part, label_set: str, game: str, kept: list[str]) -> np.ndarray:
    """Look up the values of the ``kept`` variables in a part: (n, V) uint8."""
    names = list(ari_labels.variables(label_set, game))
    return ari_labels.labels(store.ram[part.label_rows], label_set, game)[:, [names.index(name) for name in kept]]


def _features(
    encoder: torch.nn.Module,
    store: FrameStore,
    split: Split,
    labels: dict[str, np.ndarray],
    stack: int,
    device: torch.device,
) -> dict[str, fitting.Features]:
    """Encode each part's frames in one pass over the store."""
    rows = np.sort(np.concatenate([part.rows for part in split.parts.values()]))
    features = _by_chunk(partial(encoders.encode, encoder, device=device), store, rows, stack)
    return {
        name: fitting.Features(features[np.searchsorted(rows, part.rows)], labels[name], part.lengths)
        for name, part in split.parts.items()
    }


def _by_chunk(apply: Callable[[np.ndarray], np.ndarray], store: FrameStore, rows: np.ndarray, stack: int) -> np.ndarray:
    """What ``apply`` makes of the frames of ``rows``, (n,) ascending, each with those before it: uint8 (n, stack, 210, 160)."""
    size = max(_CHUNK // stack, 1)
    chunks = np.split(rows, range(size, len(rows), size))
    return np.concatenate([apply(load_stacks(store, chunk, stack)) for chunk in chunks])
