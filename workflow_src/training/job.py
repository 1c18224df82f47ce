"""The step: frames and their split -> an encoder's weights and the history of its training."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workflow_src import artifacts, devices, encoders, provenance, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config.methods import Method, MethodProtocol, Training
from workflow_src.csv_files import write_csv
from workflow_src.episodes.color import as_seen
from workflow_src.episodes.dataset import (
    Part,
    Split,
    check_pair,
    load_frames,
    load_stacks,
    read_split,
)
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.training import loop, objective

# Frames held in memory at once where only their features matter.
_CHUNK = 1024


def train(
    *,
    game: str,
    policy: str,
    protocol: str,
    method: str,
    seed: int,
    row: Method,
    settings: Training,
    switches: MethodProtocol,
    label_set: str,
    classes: int,
    frames: Path | None,
    split: Path | None,
    out: Path,
    history: Path,
    agent: Path | None = None,
    base: Path | None = None,
    base_row: Method | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    seed_protocol: str | None = None,
    device: str = "auto",
    trainings_per_gpu: int = 1,
    progress: bool = True,
) -> None:
    """Train one encoder; write its weights (safetensors) and its history (CSV, one row per epoch).

    A method that does not learn needs neither ``frames`` nor ``split``, and its history is empty.
    ``agent``: the weights of an agent, for the kind ``agent``; ``base`` and ``base_row``: the
    weights and the row of another method, for the kind ``conditioned``.
    ``label_set`` and ``classes`` matter to supervised methods only. ``seed_protocol``: the protocol
    whose name the seeds are derived from, by default ``protocol``. Memory: the frames' bytes and
    about 1 GB; 2 GB for CPC's large batches.
    """
    artifacts.check_writable(out, history, *([checkpoint] if checkpoint else []))
    if not row.has_encoder:
        raise UserError(f"{method} has no encoder: choose a method that has one")
    if (row.agent is None) != (agent is None):
        said = "no agent's weights" if row.agent is None else f"the weights of agent {row.agent}"
        raise UserError(f"{method} needs {said}: see --agent-weights")
    if (row.of is None) != (base is None or base_row is None):
        said = "no other method's weights" if row.of is None else f"the weights of {row.of}"
        raise UserError(f"{method} needs {said}: see --base-weights")
    names = (game, "encoders", policy, seed_protocol or protocol, method)
    generator = torch.Generator().manual_seed(seeds.derive(seed, *names, "weights"))
    rows: list[dict[str, float]] = []
    learned: dict[str, str] = {}
    with devices.acquire(
        device if row.reads else "cpu", settings.threads, trainings_per_gpu
    ) as place:
        if row.learns_from is None:
            given: dict[str, Any] = {} if agent is None else {"agent": agent}
            if base is not None:
                given |= {"base": base, "base_row": base_row}
                given |= {"features": _features(method, row, frames, split, game, place)}
            model = objective.find(row.kind)(row, generator, **given)
            if base is None and row.reads is not None:
                data = _load(row, *_both(method, frames, split), game, label_set, classes)
                model.prepare(data.frames.to(place), data.train)
        else:
            data = _load(row, *_both(method, frames, split), game, label_set, classes)
            supervision: dict[str, Any] = {}
            if data.variables:
                supervision = {"variables": data.variables, "classes": classes}
            model = objective.find(row.kind)(row, generator, **supervision)
            learned = {"precision": devices.precision(settings.precision, place)}
            seen = data.frames.to(place)
            measured = model.prepare(seen, data.train)
            rows = loop.fit(
                model,
                seen,
                data.train,
                data.val,
                settings,
                switches,
                lambda *name: seeds.generator(seed, *names, *name),
                name=f"{method} on {game}",
                labels=measured if data.labels is None else data.labels.to(place),
                stack=row.frame_stack,
                checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds,
                fingerprint=_fingerprint(
                    row,
                    settings,
                    switches,
                    seed,
                    *names,
                    data.source,
                    model.header,
                    torch.__version__,
                    place.type,
                    learned["precision"],
                ),
                progress=progress,
            )
    header = {
        "game": game,
        "policy": policy,
        "protocol": protocol,
        "method": method,
        "seed": seed,
        "encoder": row.encoder,
        "feature_size": row.feature_size,
        "frame_stack": row.frame_stack,
        **learned,
    }
    if row.input_scale != "unit":
        header["input_scale"] = row.input_scale
    if row.charts is not None:
        header |= {"charts": row.charts, "readout": row.readout}
    write_csv(history, pd.DataFrame(rows, columns=list(rows[0]) if rows else ["epoch"]))
    heads = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("encoder.")
    }
    encoders.save(out, model.encoder, header | model.header, heads)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Data:
    """What a method learns from: the frames of train and validation as one tensor, indexed."""

    frames: torch.Tensor  # uint8 (n, 210, 160)
    train: objective.EpisodeIndex
    val: objective.EpisodeIndex
    labels: torch.Tensor | None  # int64 (n, V), where it is supervised
    variables: list[str]  # of the columns of labels
    source: dict[str, str]  # checksums of the files


def _both(method: str, frames: Path | None, split: Path | None) -> tuple[Path, Path]:
    if frames is None or split is None:
        raise UserError(f"{method} needs frames: name the files of its frames and their split")
    return frames, split


def _open(row: Method, frames: Path, split: Path, game: str) -> tuple[FrameStore, Split]:
    """Frames and their split; `UserError` for those of another game or purpose."""
    store, shared = FrameStore.open(frames), read_split(split)
    check_pair(store, shared)
    if shared.header["purpose"] != row.reads:
        raise UserError(
            f"{split} was made from {shared.header['purpose']} frames; {row.kind} needs "
            f"{row.reads} frames: name the right file"
        )
    if store.header["game"] != game:
        raise UserError(f"{frames} holds {store.header['game']}, not {game}: name the right file")
    return store, shared


def _features(
    method: str,
    row: Method,
    frames: Path | None,
    split: Path | None,
    game: str,
    device: torch.device,
) -> Callable[[torch.nn.Module], Iterator[np.ndarray]]:
    """What gives an encoder's features (n, d) of the train part, in pieces."""
    store, shared = _open(row, *_both(method, frames, split), game)
    seen = as_seen(store, row.sees_color)
    rows = shared.parts["train"].rows

    def of(encoder: torch.nn.Module) -> Iterator[np.ndarray]:
        for chunk in np.split(rows, range(_CHUNK, len(rows), _CHUNK)):
            yield encoders.encode(encoder, load_stacks(seen, chunk, row.frame_stack), device)

    return of


def _load(row: Method, frames: Path, split: Path, game: str, label_set: str, classes: int) -> _Data:
    """The data of ``row``; `UserError` for files of another game, purpose or label set."""
    store, shared = _open(row, frames, split, game)
    parts = [shared.parts[name] for name in ("train", "val")]
    rows = np.sort(np.concatenate([part.rows for part in parts]))
    labels: torch.Tensor | None = None
    variables = [name for name, variable in shared.variables.items() if variable["kept"]]
    if variables:
        if shared.header["label_set"] != label_set:
            raise UserError(
                f"{split} has label set {shared.header['label_set']}, not {label_set}: "
                "make the split again"
            )
        known = list(ari_labels.variables(label_set, game))
        label_rows = np.empty_like(rows)
        for part in parts:
            label_rows[np.searchsorted(rows, part.rows)] = part.label_rows
        columns = [known.index(name) for name in variables]
        values = ari_labels.labels(store.ram[label_rows], label_set, game)[:, columns]
        if values.max() >= classes:
            raise UserError(
                f"a label is {values.max()}, but there are {classes} classes: "
                "set probe.classes to 256"
            )
        labels = torch.from_numpy(values)
    source = {
        "frames": store.sha256,
        "split": hashlib.sha256(split.read_bytes()).hexdigest(),
        "labels": label_set,
    }
    train, val = (_index(part, rows) for part in parts)
    found = torch.from_numpy(load_frames(store, rows))
    return _Data(found, train, val, labels, variables, source)


def _index(part: Part, rows: np.ndarray) -> objective.EpisodeIndex:
    """Positions of the part's episodes among the loaded ``rows``."""
    first = part.rows[np.cumsum(part.lengths) - part.lengths]
    last = part.rows[np.cumsum(part.lengths) - 1]
    if not np.array_equal(last - first + 1, part.lengths):
        raise UserError(
            "the split has gaps within episodes, so consecutive frames would not be: "
            "make the split again"
        )
    return objective.EpisodeIndex(np.searchsorted(rows, first), part.lengths)


def _fingerprint(row: Method, settings: Training, switches: MethodProtocol, *others: Any) -> str:
    """Identity of a training, its code included: only its own checkpoint is resumed from."""
    code = provenance.digest("training.job", *provenance.of_method(row))
    settled = [code, row.model_dump(), settings.model_dump(), switches.model_dump(), others]
    return hashlib.sha256(json.dumps(settled, sort_keys=True).encode()).hexdigest()
