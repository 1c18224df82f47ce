"""The step that decodes some frames with an encoder and its decoder, for a figure."""

from pathlib import Path

import numpy as np
import torch

from workflow_src import artifacts, encoders
from workflow_src.config.methods import Method
from workflow_src.episodes.dataset import check_pair, load_frames, load_stacks, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.training import objective

KIND = "examples"
NUMBER = 6


@torch.no_grad()
def reconstruct(
    *,
    game: str,
    policy: str,
    protocol: str,
    method: str,
    seed: int,
    row: Method,
    frames: Path,
    split: Path,
    weights: Path,
    out: Path,
) -> None:
    """Decode `NUMBER` frames, spread over validation; write input, target and output.

    Each is uint8 (n, 210, 160). Always on the processor, in float32. `UserError` for a method
    without a decoder, and for files that do not belong together.
    """
    if row.decodes is None:
        raise UserError(f"{method} has no decoder: choose a method that has one, such as vae")
    store, shared = FrameStore.open(frames), read_split(split)
    check_pair(store, shared)
    model = objective.find(row.kind)(row, torch.Generator())
    header = artifacts.read_header(weights, encoders.KIND)
    if (header.get("game"), header.get("method")) != (game, method):
        raise UserError(
            f"{weights} belongs to {header.get('method')} on {header.get('game')}, "
            f"not {method} on {game}: name the right file"
        )
    model.encoder, _ = encoders.load(weights, row)
    heads = encoders.load_heads(weights)
    if {name for name in model.state_dict() if not name.startswith("encoder.")} != set(heads):
        raise UserError(
            f"{weights} was made by another kind of method than {method} is now: "
            "make the encoder again"
        )
    model.load_state_dict(heads, strict=False)  # all but the encoder, which is loaded
    val = shared.parts["val"].rows
    followed = val[np.isin(val + row.decodes, val)]
    followed = followed[store.episode[followed] == store.episode[followed + row.decodes]]
    if not len(followed):
        raise UserError(
            f"{split} has no validation frame that another follows: collect more frames "
            "(episodes.frames.pretrain)"
        )
    rows = followed[np.linspace(0, len(followed) - 1, NUMBER).astype(int)]
    stacks = torch.from_numpy(load_stacks(store, rows, row.frame_stack))
    decoded = model.eval().reconstruct(stacks)[:, -1]
    arrays = {
        "input": load_frames(store, rows),
        "target": load_frames(store, rows + row.decodes),
        "output": (decoded * 255).round().to(torch.uint8).numpy(),
    }
    names = {
        "game": game,
        "policy": policy,
        "protocol": protocol,
        "method": method,
        "seed": seed,
        "decodes": row.decodes,
    }
    artifacts.write_arrays(out, KIND, arrays, names)
