"""The step that probes an encoder: frames, their split and weights -> scores of every variable."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflow_src import artifacts, devices, encoders, kinds, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config.methods import Method
from workflow_src.config.probes import KINDS, Probe, ProbeProtocol
from workflow_src.encoders.conditioning import describe
from workflow_src.episodes.color import Frames, as_seen
from workflow_src.episodes.dataset import Part, Split, check_pair, load_stacks, read_split
from workflow_src.episodes.predictions import write as write_predictions
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError, one_of
from workflow_src.means import summarise
from workflow_src.probes import fitting, metrics
from workflow_src.probes.majority import majority

# Frames held in memory at once, 138 MB: only their features are kept.
_CHUNK = 4096
# The probes that methods bring: one needs no encoder, the other is a trained classifier.
MAJORITY, SUPERVISED = "majority", "supervised"


def probe(
    *,
    game: str,
    policy: str,
    protocol: str,
    method: str,
    kind: str,
    seed: int,
    row: Method,
    settings: Probe,
    switches: ProbeProtocol,
    label_set: str,
    frames: Path,
    split: Path,
    weights: Path | None,
    out: Path,
    predictions: Path | None = None,
    seed_protocol: str | None = None,
    device: str = "auto",
    trainings_per_gpu: int = 1,
) -> None:
    """Probe each variable that the split kept, score it on test, and write the scores as JSON.

    ``kind``: a kind of probe, fitted here on the features of the method's encoder; ``majority``,
    which needs no ``weights``; or ``supervised``, where ``weights`` hold a classifier that predicts
    the values itself. Every test frame is scored once; where the protocol samples with replacement
    (Q7), as many are drawn as make full batches, except for ``majority``, as in the 2019 code.
    ``seed_protocol``: the protocol whose name the seeds are derived from, by default ``protocol``.
    ``predictions``: a file for what is read in one test episode, see `episodes.predictions`.
    The JSON also has the conditioning of the features (`encoders.conditioning.describe`).
    Memory: 1 KB per frame, the RAM, and about 1 GB. `UserError` for a kind that the method does not
    have, for files of another game or label set, for frames that the split was not made from, and
    as in `probes.kinds`.
    """
    one_of(f"probe of {method}", kind, row.probe_names(settings.kinds))
    store, parts = read(frames, split, game, label_set)
    kept = [name for name, variable in parts.variables.items() if variable["kept"]]
    labels = {
        name: labels_of(store, part, label_set, game, kept) for name, part in parts.parts.items()
    }

    def rng(name: str) -> np.random.Generator:
        # All probes of a method start from the same weights and are scored on the same draw of
        # test frames, so that they are comparable.
        return seeds.generator(
            seed, game, "probes", policy, seed_protocol or protocol, method, name
        )

    described: dict[str, Any] = {}
    estimated: np.ndarray | None = None  # as numbers, where the probe does so
    if kind == MAJORITY:
        predicted = np.broadcast_to(majority(labels["train"]), labels["test"].shape)
    else:
        if weights is None:
            raise UserError(
                f"{method} computes features from frames: name the file of its encoder's weights"
            )
        on_device = kinds.declared(KINDS, kind).get("GRADIENT_DESCENT", True)
        # What is long and not for the device runs on the processor, with the encoding before it:
        # a GPU is not kept waiting.
        with devices.acquire(
            device if on_device else "cpu", settings.threads, trainings_per_gpu
        ) as place:
            supervision = (kept, settings.classes) if kind == SUPERVISED else ()
            model, header = encoders.load(weights, row, *supervision)
            check_header(weights, header, game=game, method=method)
            if kind == SUPERVISED:
                classify = partial(encoders.classify, model, device=place)
                rows = parts.parts["test"].rows
                predicted = _by_chunk(classify, store, rows, row.frame_stack)
            else:
                seen = as_seen(store, row.sees_color)
                features = features_of(model, seen, parts, labels, row.frame_stack, place)
                described = {"features": describe(features["train"].values)}
                fit: fitting.Fit = kinds.module(KINDS, kind).fit
                fitted = fit(
                    features["train"],
                    features["val"],
                    settings,
                    switches,
                    rng("fit"),
                    place,
                    names=kept,
                )
                predicted = fitted.predict(features["test"].values)
                if isinstance(fitted, fitting.Estimates):
                    estimated = fitted.estimate(features["test"].values)

    scored = np.arange(len(predicted))
    if switches.sampling == "replacement" and kind != MAJORITY:
        lengths = parts.parts["test"].lengths
        scored = fitting.full_batches(lengths, settings, switches, rng("test"))
    if not len(scored):
        raise UserError(
            f"{game}: {len(predicted)} test frames are fewer than a batch of "
            f"{settings.batch_size}: collect more frames (episodes.frames.probe)"
        )
    score = metrics.scores(labels["test"][scored], predicted[scored])
    if estimated is not None:
        score |= metrics.errors(labels["test"][scored], estimated[scored])
    variables: dict[str, dict[str, Any]] = {
        name: {
            **{metric: float(values[v]) for metric, values in score.items()},
            "categories": list(ari_labels.categories(name)),
            "classes": len(np.unique(labels["train"][:, v])),
            "entropy": float(parts.variables[name]["entropy"]),
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
        "label_set": label_set,
        "probe": kind,
        "variables": variables,
    }
    if predictions is not None:
        about = {name: value for name, value in content.items() if name != "variables"}
        about |= {"frames_sha256": store.sha256}
        write_predictions(predictions, parts.parts["test"], kept, labels["test"], predicted, about)
    artifacts.write_checked_json(out, content | described | summarise(variables))


def read(frames: Path, split: Path, game: str, label_set: str) -> tuple[FrameStore, Split]:
    """Open frames and their split; `UserError` for those of another game, purpose or label set."""
    store, parts = FrameStore.open(frames), read_split(split)
    check_header(frames, store.header, game=game)
    check_header(split, parts.header, game=game, purpose="probe", label_set=label_set)
    check_pair(store, parts)
    return store, parts


def check_header(path: Path, header: dict[str, Any], **expected: str) -> None:
    """`UserError` naming the first entry of a file's header that is not as expected."""
    for name, value in expected.items():
        if header.get(name) != value:
            raise UserError(
                f"{path} has {name.replace('_', ' ')} {header.get(name)}, not {value}: "
                "name the right file"
            )


def labels_of(
    store: FrameStore, part: Part, label_set: str, game: str, kept: list[str]
) -> np.ndarray:
    """The values of the ``kept`` variables in a part: (n, V) int64."""
    names = list(ari_labels.variables(label_set, game))
    columns = [names.index(name) for name in kept]
    return ari_labels.labels(store.ram[part.label_rows], label_set, game)[:, columns]


def features_of(
    encoder: torch.nn.Module,
    store: Frames,
    split: Split,
    labels: dict[str, np.ndarray],
    stack: int,
    device: torch.device,
) -> dict[str, fitting.Features]:
    """Encode each part's frames in one pass over the store.

    `UserError` where the encoder gives anything but finite features (n, d).
    """
    rows = np.sort(np.concatenate([part.rows for part in split.parts.values()]))
    features = _by_chunk(partial(_encode, encoder, device), store, rows, stack)
    # Before anything is computed from them, and of test as well: a prediction hides what it is of.
    wrong = len(features) - np.isfinite(features).all(1).sum()
    if wrong:
        raise UserError(
            f"the features of {wrong} of {len(features)} frames are infinite or no numbers: train "
            "the encoder again with a lower lr, or mend its forward"
        )
    return {
        name: fitting.Features(
            features[np.searchsorted(rows, part.rows)], labels[name], part.lengths
        )
        for name, part in split.parts.items()
    }


def _encode(encoder: torch.nn.Module, device: torch.device, frames: np.ndarray) -> np.ndarray:
    """Features (n, d) of frames; a custom encoder may give anything."""
    try:
        features = encoders.encode(encoder, frames, device)
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of somebody else's code
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(
            f"the encoder fails on {len(frames)} frames: {said}; mend its forward"
        ) from error
    if features.ndim != 2 or len(features) != len(frames) or not features.shape[1]:
        raise UserError(
            f"the encoder gives {features.shape} for {len(frames)} frames, not ({len(frames)}, d): "
            "mend its forward"
        )
    return features


def _by_chunk(
    apply: Callable[[np.ndarray], np.ndarray], store: Frames, rows: np.ndarray, stack: int
) -> np.ndarray:
    """Apply a function to the stacked frames of ``rows``, (n,) ascending, chunk by chunk.

    ``apply`` gets uint8 (n, stack, 210, 160), or (n, stack, 3, 210, 160) in colour.
    """
    size = max(_CHUNK // stack // getattr(store, "channels", 1), 1)
    chunks = np.split(rows, range(size, len(rows), size))
    return np.concatenate([apply(load_stacks(store, chunk, stack)) for chunk in chunks])
