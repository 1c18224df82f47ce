"""Probing one game to the end, against a probe per variable that encodes for itself.

Work is counted in frames x variables: every epoch of every variable passes over train and
validation, until that variable stops, and test is read once. The baseline's rate is that of a
slice, seven parts learning and one validation as in a whole epoch; its whole fit would do the same
for each variable and epoch, so the ratio of the rates is that of the times.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from speed import frames
from speed.baselines import probes as baseline
from speed.measure import Bench, Row, alone, interleaved, row, script
from workflow_src import devices, encoders, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config.run import Config, defaults
from workflow_src.episodes.store import FrameStore
from workflow_src.probes import fitting, metrics
from workflow_src.probes.fitting import Features
from workflow_src.probes.kinds import linear

_CHUNK = 4096  # frames in memory at once, as the step has it


def encoder(config: Config) -> torch.nn.Module:
    """An untrained one, whose probes learn for long."""
    method = config.methods["random-cnn"]
    return encoders.build(method.encoder, method.feature_size, torch.Generator().manual_seed(0))


def parts(n: int) -> dict[str, slice]:
    """Rows of each part, by the order of collection."""
    return {
        "train": slice(0, n * 7 // 10),
        "val": slice(n * 7 // 10, n * 8 // 10),
        "test": slice(n * 8 // 10, n),
    }


def labels(config: Config, store: FrameStore) -> np.ndarray:
    """All variables of the game, (n, V)."""
    return ari_labels.labels(store.ram, config.label_set, store.header["game"])


def features(values: np.ndarray, wanted: np.ndarray, rows: slice) -> Features:
    """A part, as one episode."""
    return Features(values[rows], wanted[rows], np.array([rows.stop - rows.start]))


def whole(file: Path, change: dict) -> tuple[int, float]:
    """Frames x variables of a whole fit, and its seconds, reading and scoring included."""
    config = defaults(change)
    model = encoder(config)
    start = time.perf_counter()
    store = FrameStore.open(file)
    with devices.acquire("auto", config.probe.threads) as device:
        chunks = np.split(np.arange(len(store)), range(_CHUNK, len(store), _CHUNK))
        values = np.concatenate(
            [encoders.encode(model, store.read(rows), device) for rows in chunks]
        )
        part = {
            name: features(values, labels(config, store), rows)
            for name, rows in parts(len(store)).items()
        }
        switches = config.protocol("paper").probes
        fitted = linear.fit(
            part["train"], part["val"], config.probe, switches, seeds.generator(0, "fit"), device
        )
        metrics.scores(part["test"].labels, fitted.predict(part["test"].values))
    seconds = time.perf_counter() - start
    epochs, variables = np.isfinite(fitted.accuracy).sum(), part["test"].labels.shape[1]
    work = epochs * (len(part["train"].values) + len(part["val"].values)) + variables * len(
        part["test"].values
    )
    return int(work), seconds


def ours(file: Path, change: dict) -> float:
    """Frames x variables a second."""
    work, seconds = whole(file, change)
    return work / seconds


def theirs(file: Path, batches: int, threads: int) -> float:
    """Frames x variables a second of the baseline, two variables."""
    config, store = defaults({}), FrameStore.open(file)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    size = config.probe.batch_size
    learned, judged = 7 * batches * size, batches * size
    read, known = (
        store.read(np.arange(learned + judged)),
        labels(config, store)[: learned + judged, :2],
    )
    weight, bias = fitting.initial(2, config.probe.classes, 256, seeds.generator(0, "fit"))
    model = encoder(config).to(device := "cuda" if torch.cuda.is_available() else "cpu")
    model(torch.zeros(size, 1, 210, 160, device=device))
    start = time.perf_counter()
    train, val = (read[:learned], known[:learned]), (read[learned:], known[learned:])
    baseline.fit(model, train, val, [np.arange(learned)], weight, bias, 3e-4, config.probe)
    return 2 * (learned + judged) / (time.perf_counter() - start)


def f1(
    file: Path, n: int, epochs: int, threads: int, variables: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """F1 of each variable, ours and the baseline's, both fitted with the same random draws.

    At a rate at which so few epochs teach something; float32, on the processor.
    """
    config = defaults({"probe": {"epochs": epochs}})
    settings = config.probe
    switches = config.protocol("paper").probes.model_copy(
        update={"sampling": "permutation", "lr": 3e-3}
    )
    store = FrameStore.open(file)
    read, model = store.read(np.arange(n)), encoder(config)
    known = labels(config, store)[:n]
    known = known[
        :, np.argsort([-len(np.unique(column)) for column in known.T], kind="stable")[:variables]
    ]
    rows = parts(n)
    with devices.acquire("cpu", threads) as device:
        values = encoders.encode(model, read, device)
        part = {name: features(values, known, rows[name]) for name in rows}
        fitted = linear.fit(
            part["train"], part["val"], settings, switches, seeds.generator(0, "fit"), device
        )
        mine = fitted.predict(values[rows["test"]])
        rng = seeds.generator(0, "fit")
        weight, bias = fitting.initial(variables, settings.classes, values.shape[1], rng)
        orders = [
            fitting.full_batches(part["train"].lengths, settings, switches, rng)
            for _ in range(epochs)
        ]
        train, val = ((read[rows[name]], known[rows[name]]) for name in ("train", "val"))
        probes = baseline.fit(model, train, val, orders, weight, bias, switches.lr, settings)
        other = np.column_stack(
            [probe.predict(read[rows["test"]], settings.batch_size) for probe in probes]
        )
    return tuple(
        metrics.scores(known[rows["test"]], predicted)["f1"] for predicted in (mine, other)
    )


def rows(at: Bench) -> Iterator[Row]:
    """Frames x variables a second of all probes of Pong, and F1 of both ways of fitting."""
    number = at.size(20_000, 800)
    file = frames.played(at, number)
    change = {"probe": {"threads": at.threads, "epochs": at.size(100, 2)}}
    sides = {
        "ours": partial(ours, file, change),
        "baseline": partial(theirs, file, at.size(2, 1), at.threads),
    }
    yield row(
        f"probes, all variables, {number:,} frames",
        "frames x variables/s",
        interleaved(at.rounds, sides),
    )
    mine, other = map(
        np.mean, alone(partial(f1, file, at.size(2000, 200), at.size(5, 1), at.threads)).value
    )
    yield Row(
        "probes, F1 with the same draws",
        "F1, 3 variables",
        float(mine),
        float(other),
        baseline_ratio=float(mine / other),
    )


if __name__ == "__main__":
    script(rows)
