"""Commands for one encoder, one array of features or one game, without a run of one's own."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from workflow_src import checkout
from workflow_src.cli.options import FILE, FOLDER
from workflow_src.errors import UserError


@click.command()
@click.option("--encoder", help="A torch module of your own: path/to/file.py:Class.")
@click.option("--kwargs", default="{}", help="Keyword arguments of the class, as JSON.")
@click.option("--weights", type=FILE, help="Its state, .safetensors or .pt.")
@click.option("--size", type=click.IntRange(8, 1024), help="It sees squares of so many pixels.")
@click.option("--color", type=click.Choice(["gray", "rgb"]), default="gray", help="What it sees.")
@click.option("--stack", type=click.IntRange(1, 64), default=1, help="It sees so many frames.")
@click.option("--method", "methods", multiple=True, help="A method of the benchmark; repeatable.")
@click.option("--features", type=FILE, help="Features of any origin: .npy, (n, d).")
@click.option("--labels", type=FILE, help="Their labels: a CSV with n rows, a column a variable.")
@click.option("--standardise", is_flag=True, help="Divide each of the features by its deviation.")
@click.option("--game", help="The game to probe on, such as pong.")
@click.option(
    "--scale",
    type=click.Choice(["quick", "paper"]),
    help="How many frames and epochs; by default quick, and paper for --features.",
)
@click.option("--protocol", default="paper", show_default=True, help="paper or corrected.")
@click.option("--probe", "kind", default="linear", show_default=True, help="The kind of probe.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Root seed.")
@click.option(
    "--into",
    type=FOLDER,
    help="The run's directory, by default probes/GAME; for --features where scores.csv goes.",
)
def probe(
    encoder: str | None,
    kwargs: str,
    weights: Path | None,
    size: int | None,
    color: str,
    stack: int,
    methods: tuple[str, ...],
    features: Path | None,
    labels: Path | None,
    standardise: bool,
    game: str | None,
    **which: Any,
) -> None:
    """Probe an encoder, methods or features, and print F1 of every variable.

    Frames are played once for each game and kept for the next encoder.
    """
    if features is not None or labels is not None:
        if features is None or labels is None:
            raise UserError("--features and --labels belong together: name both files")
        if encoder or methods or weights or game:
            raise UserError("--features come from elsewhere: leave out --encoder, --method, --game")
        _check_without_encoder(kwargs, size, color, stack)
        return _probe_arrays(features, labels, standardise, **which)
    if standardise:
        raise UserError(
            "--standardise is for --features: name a method of the kind conditioned instead, such "
            "as --method random-cnn-standardised"
        )
    if game is None:
        raise UserError("--game is missing: name one, such as --game pong")
    if encoder is None and not methods:
        raise UserError("nothing to probe: name --encoder, --method or --features")
    own = {}
    if encoder is None:
        _check_without_encoder(kwargs, size, color, stack, weights)
    else:
        sees: dict[str, Any] = {} if size is None else {"size": size}
        sees |= {} if color == "gray" else {"color": color}
        sees |= {} if stack == 1 else {"stack": stack}
        own = _own(encoder, kwargs, weights, sees)
    return _probe_run(game, methods, own, **which)


def _check_without_encoder(
    kwargs: str, size: int | None, color: str, stack: int, weights: Path | None = None
) -> None:
    """`UserError` where one of an encoder's options is given."""
    if (kwargs, size, color, stack, weights) != ("{}", None, "gray", 1, None):
        raise UserError(
            "--kwargs, --weights, --size, --color and --stack belong to --encoder: name the class"
        )


def _own(encoder: str, kwargs: str, weights: Path | None, sees: dict) -> dict[str, Any]:
    """A row of ``methods`` for an encoder of one's own, with paths in full."""
    from workflow_src.config.reading import read_yaml
    from workflow_src.config.run import PACKAGED
    from workflow_src.paths import expanded

    file, _, name = encoder.rpartition(":")
    if not file:
        raise UserError(f"--encoder {encoder} names no class: write path/to/file.py:Class")
    row: dict[str, Any] = {"kind": "custom", "module": f"{expanded(file).resolve()}:{name}"}
    if arguments := _arguments(kwargs):
        row["kwargs"] = arguments
    if sees:
        row["input"] = sees
    if weights is not None:
        row["weights"] = str(expanded(weights).resolve())
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    words = words.lower().replace("_", "-").strip("-")
    # A row of the benchmark keeps its name, whatever a class of one's own is called.
    return {f"my-{words}" if words in read_yaml(PACKAGED)["methods"] else words: row}


def _arguments(kwargs: str) -> dict[str, Any]:
    """``--kwargs`` as a mapping; `UserError` for anything else."""

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    try:
        arguments = json.loads(kwargs, object_pairs_hook=mapping)
        if not isinstance(arguments, dict):
            raise ValueError("it has no names")
    except ValueError as error:
        raise UserError(
            f"--kwargs is no JSON of keyword arguments ({error}): write them as '{{\"size\": 64}}'"
        ) from error
    return arguments


def _probe_run(
    game: str,
    methods: tuple[str, ...],
    own: Mapping[str, Any],
    *,
    scale: Any,
    protocol: str,
    kind: str,
    seed: int,
    into: Path | None,
) -> None:
    from workflow_src.ari.games import game_of
    from workflow_src.config.configure import probing, write
    from workflow_src.report.one_game import of_run

    if importlib.util.find_spec("snakemake") is None:
        raise UserError(
            "frames, encoders and probes are made by Snakemake: pip install 'atariari[workflow]'"
        )
    game = game_of(game)
    into = into or Path("probes") / game
    content = probing(scale or "quick", game, protocol, seed, methods, own, kind)
    write(content, f"atariari probe --game {game}", into)
    command = [sys.executable, "-m", "snakemake", "--snakefile", checkout.folder() / "Snakefile"]
    command += ["--directory", into, "--cores", "all", "--resources", "gpu=1", "--quiet", "all"]
    done = subprocess.run([*map(str, command), "--", "results/scores.csv"])
    if done.returncode:
        raise UserError(f"the run in {into} has failed: see the messages above, and {into}/logs")
    scores = into / "results" / "scores.csv"
    reference = checkout.folder() / "reference"
    click.echo(of_run(scores, reference, game, [*own, *methods], f"protocol {protocol}"))
    click.echo(f"All scores: {scores}")


def _probe_arrays(
    features: Path,
    labels: Path,
    standardise: bool,
    *,
    scale: Any,
    protocol: str,
    kind: str,
    seed: int,
    into: Path | None,
) -> None:
    import pandas as pd

    from workflow_src.config.configure import probing
    from workflow_src.config.run import Config
    from workflow_src.csv_files import write_csv
    from workflow_src.probes import arrays
    from workflow_src.report.one_game import plain_text

    out = (into or Path()) / "scores.csv"
    _check_ours(out, features, labels)
    content = probing(scale or "paper", "pong", protocol, seed, ["maj-clf"], {}, kind)
    config = Config.check(content, "atariari probe")
    data = arrays.read(features, labels)
    scores = arrays.probe(
        arrays.standardised(data) if standardise else data,
        kind=kind,
        settings=config.probe_of(protocol),
        switches=config.protocol(protocol).probes,
        seed=seed,
        device=config.device,
    )
    f1 = {name: row["f1"] for name, row in scores.items()}
    accuracy = {name: row["accuracy"] for name, row in scores.items()}
    rows = " + ".join(f"{len(part.labels)} {name}" for name, part in data.parts.items())
    click.echo(plain_text({"F1": f1, "accuracy": accuracy}, f"{features}: {rows}"))
    named = [
        {"name": name, "metric": metric, "value": value}
        for name, row in scores.items()
        for metric, value in row.items()
    ]
    write_csv(out, pd.DataFrame(named))
    click.echo(f"All scores: {out}")


def _check_ours(out: Path, *inputs: Path) -> None:
    """`UserError` where scores cannot be written, or would replace something else."""
    from workflow_src import artifacts
    from workflow_src.csv_files import read_cells
    from workflow_src.errors import DamagedFile

    artifacts.check_writable(out)
    if not out.exists() and not out.is_symlink():
        return
    try:
        ours = list(read_cells(out)) == ["name", "metric", "value"]
    except DamagedFile:
        ours = False
    if not ours or out.resolve() in [file.resolve() for file in inputs]:
        raise UserError(f"{out} exists and has no such scores: name another folder with --into")


@click.command()
@click.option("--game", required=True, help="The game, such as pong.")
@click.option(
    "--frames", type=click.IntRange(min=1), default=50_000, show_default=True, help="How many."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["npz", "parquet"]),
    help="Of the file; by default as its name ends, or npz.",
)
@click.option("--out", type=FILE, help="The file to write; by default GAME.npz or GAME.parquet.")
@click.option(
    "--label-set", default="paper-2019", show_default=True, help="Or revised-2020, or calibrated."
)
@click.option("--protocol", default="paper", show_default=True, help="paper or corrected.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Root seed.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def export(
    game: str,
    frames: int,
    form: str | None,
    out: Path | None,
    label_set: str,
    protocol: str,
    seed: int,
    quiet: bool,
) -> None:
    """Play a game at random, and write frames, RAM and labels for other programs."""
    from workflow_src import artifacts
    from workflow_src.ari.games import game_of
    from workflow_src.config.run import defaults
    from workflow_src.episodes.collect import collect
    from workflow_src.episodes.export import export as export_store
    from workflow_src.episodes.store import FrameStore

    ending = out.suffix.removeprefix(".").lower() if out is not None else ""
    known = ending in ("npz", "parquet")
    form = form or (ending if known else "npz")
    if known and form != ending:
        raise UserError(f"--out {out} is to be {form} by --format: give both the same ending")
    if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UserError("Parquet needs PyArrow: pip install 'atariari[parquet]'")
    game = game_of(game)
    out = Path(f"{game}.{form}") if out is None else out
    if not out.name or out.is_dir():
        raise UserError(f"--out {out} is a directory: name a file in it")
    artifacts.check_writable(out)
    own = {"games": [game], "label_set": label_set, "episodes": {"frames": {"probe": frames}}}
    config = defaults(own)
    config.validate_names(game=game, policy="random_agent", protocol=protocol)
    policy = config.playing_policy("random_agent", protocol)
    with artifacts.scratch(out) as directory:
        file = directory / "frames.b2nd"
        collect(
            game=game,
            policy=policy,
            policy_settings=config.policy(policy),
            settings=config.episodes,
            purpose="probe",
            seed=seed,
            out=file,
            progress=not quiet,
        )
        export_store(FrameStore.open(file), label_set, out, form)
    size = out.stat().st_size / 1e6
    click.echo(f"{out}: {frames:,} frames of {game} with RAM and labels, {size:.0f} MB")
