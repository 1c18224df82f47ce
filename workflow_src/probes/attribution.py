"""The step that asks where an encoder reads each variable: a probe's score back to the pixels."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from workflow_src import artifacts, devices, encoders, saliency, seeds
from workflow_src.config.methods import Method
from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.episodes.color import as_seen
from workflow_src.episodes.dataset import load_stacks
from workflow_src.errors import UserError
from workflow_src.probes.kinds import linear
from workflow_src.probes.probe import check_header, features_of, labels_of, read

KIND = "attribution"
NUMBER = 4  # frames


def attribute(
    *,
    game: str,
    policy: str,
    protocol: str,
    method: str,
    seed: int,
    row: Method,
    settings: Probe,
    switches: ProbeProtocol,
    label_set: str,
    frames: Path,
    split: Path,
    weights: Path,
    mode: str,
    out: Path,
) -> None:
    """Write the saliency of each kept variable's true class, for `NUMBER` frames of test.

    The linear probe is fitted as for the tables, on one processor. The file has ``frames`` (N, 210,
    160), their ``labels`` and the ``predicted`` values (V, N), and ``saliency`` (V, N, 210, 160),
    all uint8: the absolute gradient of the class's score above the mean of all, 255 the highest of
    a variable. A probability would have none where the probe is sure.
    `UserError` as of `probe.probe`, and for encoders that are not differentiable.
    """
    store, parts = read(frames, split, game, label_set)
    kept = [name for name, variable in parts.variables.items() if variable["kept"]]
    labels = {
        name: labels_of(store, part, label_set, game, kept) for name, part in parts.parts.items()
    }
    with devices.acquire("cpu", settings.threads) as place:
        encoder, header = encoders.load(weights, row)
        check_header(weights, header, game=game, method=method)
        seen = as_seen(store, row.sees_color)
        features = features_of(encoder, seen, parts, labels, row.frame_stack, place)
        rng = seeds.generator(seed, game, "probes", policy, protocol, method, "fit")
        fitted = linear.fit(
            features["train"], features["val"], settings, switches, rng, place, names=kept
        )
        test = parts.parts["test"].rows
        which = np.linspace(0, len(test) - 1, NUMBER).astype(int)
        stacks = torch.from_numpy(load_stacks(seen, test[which], row.frame_stack))
        stacks = stacks.reshape(NUMBER, row.channels, *stacks.shape[-2:])
        last = row.channels // row.frame_stack  # the channels of the newest frame
        truth = labels["test"][which]
        encoder.requires_grad_(False)

        def score(seen: torch.Tensor, number: int) -> torch.Tensor:
            found = encoder(seen)
            if not found.requires_grad:
                raise UserError(
                    f"{method} passes no gradient to its frames: its saliency cannot be drawn"
                )
            # Not `fitting.affine`, whose product has no gradient of its own.
            scores = found @ fitted.weight[number].T + fitted.bias[number]
            classes = torch.from_numpy(truth[:, number].astype(np.int64))
            return scores.gather(1, classes[:, None])[:, 0] - scores.mean(1)

        found = np.stack(
            [
                saliency.saliency(partial(score, number=number), stacks, mode)[:, -last:].max(1)
                for number in range(len(kept))
            ]
        )
    highest = np.percentile(found, 99.9, axis=(1, 2, 3), keepdims=True)
    shares = np.clip(found / np.where(highest > 0, highest, 1), 0, 1)
    arrays = {
        "frames": store.read(test[which]),
        "labels": truth.T.astype(np.uint8),
        "predicted": fitted.predict(features["test"].values[which]).T.astype(np.uint8),
        "saliency": (shares * 255).round().astype(np.uint8),
    }
    about = {"game": game, "policy": policy, "protocol": protocol, "method": method, "seed": seed}
    about |= {"variables": kept, "label_set": label_set, "mode": mode}
    artifacts.write_arrays(out, KIND, arrays, about)
