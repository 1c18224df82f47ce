"""The step: frames and their split -> an encoder's weights and the history of its training."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from workflow_src import artifacts, devices, encoders, seeds
from workflow_src.config import Config
from workflow_src.episodes.dataset import Part, check_pair, load_frames, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.methods import objective, training


def train(
    config: Config,
    *,
    game: str,
    policy: str,
    protocol: str,
    method: str,
    seed: int,
    frames: Path | None,
    split: Path | None,
    out: Path,
    history: Path,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    progress: bool = True,
) -> None:
    """Train one encoder and write its weights (safetensors) and its history (CSV, one row an epoch, no row if untrained).

    A method that does not learn needs neither ``frames`` nor ``split``. Memory: the frames' bytes + about 1 GB.
    """
    artifacts.check_writable(out, history, *([checkpoint] if checkpoint else []))
    row = config.methods[method]
    settings, switches = row.training(config.training), config.protocols[protocol].methods
    names = (game, "encoders", policy, protocol, method)
    generator = torch.Generator().manual_seed(seeds.derive(seed, *names, "weights"))
    rows: list[dict[str, float]] = []
    with devices.acquire(config.device if row.learns else "cpu", settings.threads) as device:
        model = objective.find(row.kind)(row, generator)
        if row.learns:
            if frames is None or split is None:
                raise UserError(f"{method} learns from frames: name the files of its frames and their split")
            tensor, train_index, val_index, source = _load(frames, split, game)
            rows = training.fit(
                model,
                tensor.to(device),
                train_index,
                val_index,
                settings,
                switches,
                lambda *name: seeds.generator(seed, *names, *name),
                what=f"{method} on {game}",
                checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds,
                fingerprint=_fingerprint(row, settings, switches, seed, *names, source, torch.__version__, device.type),
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
    }
    history_text = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["epoch"]).to_csv(index=False, lineterminator="\n")
    artifacts.write_text(history, history_text)
    encoders.save(out, model.encoder, header)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def _load(
    frames: Path, split: Path, game: str
) -> tuple[torch.Tensor, objective.EpisodeIndex, objective.EpisodeIndex, dict[str, str]]:
    """The frames of train and validation as one tensor, and where each part's episodes stand in it."""
    store, shared = FrameStore.open(frames), read_split(split)
    check_pair(store, shared)
    if shared.header["purpose"] != "pretrain":
        raise UserError(f"{split} is of the {shared.header['purpose']}'s frames: encoders learn from pretrain's")
    if store.header["game"] != game:
        raise UserError(f"{frames} holds {store.header['game']}, not {game}: name the right file")
    parts = shared.parts["train"], shared.parts["val"]
    rows = np.sort(np.concatenate([part.rows for part in parts]))
    source = {"frames": store.sha256, "split": hashlib.sha256(split.read_bytes()).hexdigest()}
    return torch.from_numpy(load_frames(store, rows)), *(_index(part, rows) for part in parts), source


def _index(part: Part, rows: np.ndarray) -> objective.EpisodeIndex:
    """Where the part's episodes stand among the loaded ``rows``."""
    first = part.rows[np.cumsum(part.lengths) - part.lengths]
    last = part.rows[np.cumsum(part.lengths) - 1]
    if not np.array_equal(last - first + 1, part.lengths):
        raise UserError("the split has gaps within episodes, and neighbours in time would not be: make the split again")
    return objective.EpisodeIndex(np.searchsorted(rows, first), part.lengths)


def _fingerprint(row, settings, switches, *others) -> str:
    """What makes two trainings the same one, its code included, so that no checkpoint of another is taken up."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for folder in ("methods", "encoders", "episodes", "."):
        for file in sorted((package / folder).glob("*.py")):
            digest.update(file.read_bytes())
    settled = [row.model_dump(), settings.model_dump(), switches.model_dump(), others]
    digest.update(json.dumps(settled, sort_keys=True).encode())
    return digest.hexdigest()
