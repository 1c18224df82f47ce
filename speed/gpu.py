"""How fast each method trains on a GPU, as one table: `make bench-gpu`.

Collects its own Pong at the paper's scale with all cores. Each method trains in `loop.fit` for
two epochs of a slice of steps, of which the second is timed and scaled to the paper's epoch: 80,000
pairs, or as many frames, triples or sequences as the method draws there. Twice, to see whether the
bytes are the same, and with CUDA graphs and without. The sum is of all trainings and probes of
Table 2, 22 games, one seed, 100 epochs, nothing stopping early, without the untrained models' pass,
the reading of frames and the start of processes; probes and supervised, whose work grows with the
variables, count as for the 14 that a game has on average, not Pong's 6. `--device cpu` runs the
same code at a tiny scale.
"""

import gc
import hashlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch

from speed import flops, limits, probes
from speed.bench import check_device, hardware
from speed.frames import gather
from speed.measure import Bench
from speed.methods import EXAMPLE
from speed.train import Clock, supervision
from workflow_src import devices, seeds
from workflow_src.ari import labels as ari_labels
from workflow_src.config.methods import Method
from workflow_src.config.run import Config, defaults
from workflow_src.episodes.store import FrameStore
from workflow_src.training import loop, objective
from workflow_src.training.objective import EpisodeIndex

STEPS = {"cpc": 20, "supervised": 100}  # of the slice; of the others, see `Scale`
TABLE_2 = ("vae", "pixel-pred", "cpc", "st-dim", "supervised")  # those of its columns that learn
PROBED = 5  # columns of Table 2 whose encoders are probed: all but maj-clf and supervised


@dataclass(frozen=True)
class Scale:
    """How much is played and timed."""

    frames: int
    probe: int
    steps: int
    change: dict  # of the configuration


PAPER = Scale(100_000, 50_000, 300, {})
TINY = Scale(
    800,
    800,
    1,
    {
        "methods": {"cpc": {"options": {"sequence_length": 10}}},
        "training": {"batch_size": 8, "precision": "float32", "threads": 1, "lr": 1.0e-6},
        "probe": {"epochs": 1, "threads": 1},
    },
)


@dataclass(frozen=True)
class Played:
    """The frames on the device, and their parts."""

    frames: torch.Tensor
    store: FrameStore
    train: EpisodeIndex
    val: EpisodeIndex


def play(store: FrameStore, device: torch.device) -> Played:
    """Take the first four fifths of a collection's episodes as train; one alone serves as both."""
    first = np.flatnonzero(np.diff(store.episode, prepend=-1))
    lengths = np.diff([*first, len(store)])
    border = max(1, np.searchsorted(first, 0.8 * len(store)))
    train, val = (
        EpisodeIndex(first[:border], lengths[:border]),
        EpisodeIndex(first[border:], lengths[border:]),
    )
    frames = torch.from_numpy(store.read(np.arange(len(store)))).to(device)
    return Played(frames, store, train, val if len(val.first) else train)


def cut(index: EpisodeIndex, frames: int) -> EpisodeIndex:
    """The first ``frames`` of the episodes, the last of them cut short."""
    number = min(int(np.searchsorted(np.cumsum(index.lengths), frames)) + 1, len(index.lengths))
    lengths = index.lengths[:number].copy()
    lengths[-1] -= max(0, lengths.sum() - frames)
    return EpisodeIndex(index.first[:number], lengths)


def slice_of(row: Method, index: EpisodeIndex, examples: int) -> EpisodeIndex:
    """Choose frames for about so many examples: one each, or a sequence each for CPC."""
    if row.kind != "cpc":
        return cut(index, examples)
    length = row.resolved_options["sequence_length"]
    long = index.lengths >= length
    number = -(-examples // length)
    return EpisodeIndex(index.first[long][:number], index.lengths[long][:number])


def sha256(model: torch.nn.Module) -> str:
    """Of all tensors that a training leaves."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def measure(config: Config, name: str, played: Played, steps: int, graphs: bool) -> dict:
    """Train ``name`` twice on a slice; seconds, operations, memory and bytes."""
    row, switches = config.methods[name], config.protocol("paper").methods
    settings = row.training(config.training).model_copy(update={"epochs": 2, "cuda_graphs": graphs})
    told, labels = supervision(config, name, played.store, "pong")
    device, on_cuda = played.frames.device, played.frames.is_cuda
    size = settings.batch_size
    train, val = (
        slice_of(row, played.train, steps * size + 2),
        slice_of(row, played.val, (steps // 4 + 1) * size + 2),
    )
    hashes = []
    for _ in range(2):
        if on_cuda:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        model = objective.find(row.kind)(row, torch.Generator().manual_seed(0), **told)
        clock = Clock()
        measured = model.prepare(played.frames, train)
        on_device = measured if labels is None else labels.to(device)
        loop.fit(
            model,
            played.frames,
            train,
            val,
            settings,
            switches,
            clock,
            name=name,
            labels=on_device,
            progress=False,
        )
        hashes.append(sha256(model))

    def count(part: EpisodeIndex) -> int:
        return len(model.draw(part, switches, seeds.generator(0, "count"))) // size * size

    whole = count(played.train)
    gflop = flops.per_example(row, size, told)
    seconds = clock.learning(2) * whole / count(train)
    judging = clock.validating(1) * count(played.val) / count(val)
    return {
        "method": name,
        "graphs": "yes" if graphs else "no",
        "an epoch": f"{whole:,} {EXAMPLE.get(name, 'pair')}s",
        "s/epoch": seconds,
        "s/validation": judging,
        "ms/step": 1000 * clock.learning(2) * size / count(train),
        "GFLOP/s": gflop * whole / seconds,
        "peak MB": torch.cuda.max_memory_allocated() / 1e6 if on_cuda else np.nan,
        "twice the same": hashes[0] == hashes[1],
        "sha256": hashes[0],
    }


def hours(found: pd.DataFrame, config: Config, probing: float) -> float:
    """GPU-hours of Table 2: the faster way of each method, scaled to 22 games, and the probes."""
    variables = {game: len(ari_labels.variables(config.label_set, game)) for game in config.games}
    best = (found["s/epoch"] + found["s/validation"]).groupby(found["method"]).min()
    weights = {name: len(config.games) for name in TABLE_2} | {
        "supervised": sum(variables.values()) / variables["pong"]
    }
    trained = sum(best[name] * weight for name, weight in weights.items()) * config.training.epochs
    return (trained + probing * PROBED * sum(variables.values()) / variables["pong"]) / 3600


@click.command()
@click.option(
    "--device",
    type=click.Choice(["cuda", "cpu"]),
    default="cuda",
    show_default=True,
    help="cpu: tiny, for tests.",
)
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", help="Measure these alone, no probes."
)
def main(device: str, methods: tuple[str, ...]) -> None:
    """Measure every method on a GPU; prints one table."""
    check_device(device)
    scale = PAPER if device == "cuda" else TINY
    config = defaults(scale.change)
    if strangers := set(methods) - set(config.methods):
        click.echo(
            f"error: unknown method {min(strangers)}; choose from {', '.join(config.methods)}",
            err=True,
        )
        sys.exit(2)
    click.echo(hardware())
    cores = Bench(Path()).cores
    with tempfile.TemporaryDirectory(prefix="speed-") as directory:
        pretrain, probe = (
            gather("pong", number, Path(directory) / f"{purpose}.b2nd", cores)
            for purpose, number in (("pretrain", scale.frames), ("probe", scale.probe))
        )
        precision = devices.precision(config.training.precision, torch.device(device))
        limit = limits.product(
            precision,
            config.training.threads,
            *([] if device == "cuda" else [256, 0.0]),
            device=device,
        )
        rows = []
        with devices.acquire(device, config.training.threads) as acquired:
            for source, file in (("pretrain", pretrain), ("probe", probe)):
                played = play(FrameStore.open(file), acquired)
                for name in (
                    name
                    for name, row in config.methods.items()
                    if row.learns_from == source and name in (methods or config.methods)
                ):
                    for graphs in (False, True):
                        click.echo(f"measuring {name}", err=True)
                        steps = min(STEPS.get(name, scale.steps), scale.steps)
                        try:
                            rows.append(measure(config, name, played, steps, graphs))
                        except (
                            RuntimeError
                        ) as error:  # of CUDA too: what else was measured is not lost
                            rows.append(
                                {
                                    "method": name,
                                    "graphs": "yes" if graphs else "no",
                                    "an epoch": "failed",
                                }
                            )
                            click.echo(f"{name} failed: {error}", err=True)
                del played
        probing = np.nan if methods else probes.whole(probe, scale.change)[1]
    found = pd.DataFrame(rows)
    found.insert(7, "of matmul", found["GFLOP/s"] / limit)
    found["same as without graphs"] = (
        found.groupby("method")["sha256"].transform("nunique", dropna=False) == 1
    )
    click.echo(
        found.drop(columns="sha256").to_string(
            index=False, na_rep="-", float_format=lambda value: f"{value:.3g}", justify="left"
        )
    )
    click.echo(f"matrix product, {precision}: {limit:,.0f} GFLOP/s")
    if methods:
        return
    click.echo(f"all probes of one game: {probing:.1f} s")
    click.echo(f"Table 2, 22 games, one seed: {hours(found, config, probing):.2f} GPU-hours")


if __name__ == "__main__":
    main()
