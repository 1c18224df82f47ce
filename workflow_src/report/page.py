"""``report.html``: a whole run as one file to explore, which asks no network for anything.

The tables are plain HTML, which DataTables (from the itables package, MIT) makes sort and filter;
the page is readable without it. Nothing in the file says when it was made: the same run on the same
machine gives the same bytes.
"""

import base64
import importlib.metadata
import io
import itertools
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import itables.options
import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from workflow_src import artifacts
from workflow_src.ari.labels import LABEL_SETS, categories
from workflow_src.config.run import Config
from workflow_src.episodes.dataset import KIND as SPLIT_KIND
from workflow_src.errors import DamagedFile, UserError, explained
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.cells import Table, download, read_table, table
from workflow_src.report.curves import read_history
from workflow_src.report.names import TITLES, switches, title
from workflow_src.report.scores import read_csv, read_scores
from workflow_src.report.tables import PAPER, TABLE2, other_labels

PACKAGES = ("workflow_src", "ale-py", "torch", "numpy", "pandas", "scikit-learn", "snakemake")
PICTURES = {"PNG": "image/png", "GIF": "image/gif"}
# Where what is of one game stands on its page, by the beginning of its key in `names.TITLES`.
PLACES = {
    "audit/frames": "frames",
    "audit": "labels",
    "learning_curves": "learning",
    "reconstructions": "reconstructions",
}
ELSEWHERE = "probes"

_DOTS = 150  # of a printed inch, on the page
_PRINTED = 72  # dots an inch of a picture that does not say


@dataclass(frozen=True)
class Picture:
    """A picture with its bytes, ready to be written; sizes in pixels, ``shown`` as wide as it is on the page.

    ``printed`` are those with letters that are small on a screen; ``moving`` are animations.
    """

    key: str
    title: str
    caption: str
    source: str
    width: int
    height: int
    shown: int
    printed: bool
    moving: bool


@dataclass
class Game:
    """What the page of one game shows; ``places`` are its files by place, those of one thing together."""

    name: str
    variables: int
    splits: Table
    entropies: Table
    histories: Table
    by_variable: Table
    by_category: Table
    places: dict[str, list[list[Table | Picture]]] = field(default_factory=dict)


def write_report(
    config: Config,
    scores: Path,
    shown: list[Path],
    splits: list[Path],
    histories: list[Path],
    out: Path,
) -> None:
    """Write the page of a run.

    ``shown`` are tables (CSV) and pictures (PNG, GIF) in their order, placed by their paths below
    ``results/``; ``splits`` and ``histories`` are named as in `layout`. `UserError` or
    `DamagedFile` for a file that is missing, damaged or of a kind that cannot be shown.
    """
    probed = read_scores(scores)
    found = [(path, *subject(path, config)) for path in shown]
    placed = [
        (names.get("game"), key, show(config, path, key, names)) for path, key, names in found
    ]
    headline = next(
        (
            headlines(config, read_csv(path, text=[*BLOCK, "game"]))
            for path, key, _ in found
            if key == TABLE2.format(metric="f1")
        ),
        None,
    )
    shares, entropies = read_splits(splits)
    learned = read_histories(histories)
    by_variable, by_category = (
        read_out(config, probed, level) for level in ("variable", "category")
    )
    games = [
        Game(
            name=game,
            variables=entropies.loc[entropies["game"] == game, "variable"].nunique(),
            splits=of_game(config, shares, game, "splits", "Frames by part", SPLITS_CAPTION),
            entropies=of_game(
                config,
                entropies,
                game,
                "entropies",
                "Variables kept and dropped",
                ENTROPIES_CAPTION,
            ),
            histories=of_game(config, learned, game, "histories", "Trainings", HISTORIES_CAPTION),
            by_variable=of_game(
                config, by_variable, game, "variables", "By variable", SCORES_CAPTION, tinted=True
            ),
            by_category=of_game(
                config, by_category, game, "categories", "By category", SCORES_CAPTION, tinted=True
            ),
            places=places([(key, item) for name, key, item in placed if name == game]),
        )
        for game in config.games
    ]
    artifacts.write_text(
        out,
        render(
            config=config,
            headline=headline,
            paper=PAPER,
            setting=setting(config),
            methods=methods(config),
            protocols=protocols(config),
            versions=versions(),
            hardware=hardware(),
            tables=[item for game, _, item in placed if game is None and isinstance(item, Table)],
            pictures=[
                item for game, _, item in placed if game is None and isinstance(item, Picture)
            ],
            games=games,
        ),
    )


def render(**content: Any) -> str:
    """The page as text; all that stands in ``content`` is escaped."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("workflow_src.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    bundle = Path(itables.options.dt_bundle)
    return templates.get_template("report.html.jinja").render(
        **content,
        library=inside_script(bundle.read_text(encoding="utf-8")),
        library_style=bundle.with_suffix(".css").read_text(encoding="utf-8"),
    )


def inside_script(code: str) -> str:
    """JavaScript that HTML reads to its end: what would begin a comment, or end the script, is written in another way."""
    return re.sub(r"<(?=!--|/?script)", r"\\x3C", code, flags=re.IGNORECASE)


# The files shown.


def subject(path: Path, config: Config) -> tuple[str, dict[str, str]]:
    """The key of a file in `names.TITLES`, and the names that stand in it: the game and the label set, if any."""
    parts = path.with_suffix("").parts
    below = parts[len(parts) - parts[::-1].index("results") :] if "results" in parts else parts[-1:]
    below = below[1:] if below[0] in ("tables", "figures") else below
    names: dict[str, str] = {}
    if "/".join(below) in TITLES:  # a file of the whole run, even if a game's name ends it
        return "/".join(below), names
    *folders, last = below
    game = next((game for game in config.games if last == game or last.endswith(f"_{game}")), None)
    if game is not None:
        names["game"] = game
        last = last.removesuffix(game) + "{game}"
    for number, folder in enumerate(folders):
        if folder in LABEL_SETS:
            names["label_set"] = folder
            folders[number] = "{label_set}"
    return "/".join([*folders, last]), names


def show(config: Config, path: Path, key: str, names: dict[str, str]) -> Table | Picture:
    """Read a file to be shown; `UserError` for one that is neither a table nor a picture."""
    shown, caption = title(key, **names)
    kind = path.suffix[1:]
    ident = "-".join(
        [re.sub(r"\W+", "-", key.replace("{game}", names.get("game", ""))), *names.values(), kind]
    )
    if kind == "csv":
        frame = read_table(path)
        return table(config, frame, ident, shown, caption, download=download(path), name=path.name)
    if kind.upper() in PICTURES:
        return picture(path, ident, shown, caption)
    raise UserError(f"the page cannot show {path}: name tables as CSV and pictures as PNG or GIF")


def picture(path: Path, key: str, shown: str, caption: str) -> Picture:
    """Read a picture; `DamagedFile` when it is none."""
    with explained("read", path):
        content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=list(PICTURES)) as image:
            (width, height), kind = image.size, image.format
            dots = round(image.info.get("dpi", (_PRINTED,))[0])
            image.verify()
    except (
        OSError,
        SyntaxError,
        ValueError,
    ) as error:  # Pillow has no exception of its own for damage
        raise DamagedFile(
            f"{path} is damaged (it is no picture): delete it and make it again"
        ) from error
    return Picture(
        key=key,
        title=shown,
        caption=caption,
        source=f"data:{PICTURES[kind]};base64,{base64.b64encode(content).decode()}",
        width=width,
        height=height,
        shown=round(width * _DOTS / dots) if dots > _DOTS else width,
        printed=dots > _DOTS,
        moving=kind == "GIF",
    )


def places(items: list[tuple[str, Table | Picture]]) -> dict[str, list[list[Table | Picture]]]:
    """A game's files by place on its page; those of one title together, what moves last."""
    found: dict[str, dict[str, list[Table | Picture]]] = {
        place: {} for place in (*PLACES.values(), ELSEWHERE)
    }
    for key, item in items:
        place = next(
            (place for start, place in PLACES.items() if key.startswith(f"{start}/")), ELSEWHERE
        )
        found[place].setdefault(item.title, []).append(item)
    return {
        place: [sorted(one, key=_moves) for one in by_title.values()]
        for place, by_title in found.items()
    }


def _moves(item: Table | Picture) -> bool:
    return isinstance(item, Picture) and item.moving


# What is computed of a run: frames, one row each, of which each game's page takes its rows.

SCORES_CAPTION = "What the probe reads out of frozen features on test frames, mean over seeds; of each method its first probe."
SPLITS_CAPTION = "Frames that went to each part, and why others were dropped."
HISTORIES_CAPTION = "Loss of validation before the first epoch, at its least, and at the end; then of training at the end."
ENTROPIES_CAPTION = "A variable is dropped where the entropy of its values, in nats, is below the configuration's least."


def of_game(
    config: Config,
    frame: pd.DataFrame,
    game: str,
    key: str,
    shown: str,
    caption: str = "",
    tinted: bool = False,
) -> Table:
    """The rows of one game, as a table of its page."""
    rows = frame[frame["game"] == game].drop(columns="game")
    if "seed" in rows and len(config.seeds) == 1:
        rows = rows.drop(columns="seed")
    return table(config, rows, f"{key}-{game}", shown, caption, tinted=tinted)


def read_splits(paths: list[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Frames by part and by reason of being dropped, a row a split; and entropies, a row a variable of a split."""
    shares, entropies = [], []
    for path in paths:
        arrays, header = artifacts.read_arrays(path, SPLIT_KIND)
        identity = {name: header[name] for name in ("game", *BLOCK)} | {"seed": str(header["seed"])}
        shares.append({**identity, "purpose": header["purpose"], **frames_by(arrays, header)})
        for name, about in header.get("variables", {}).items():
            state = {"entropy": about["entropy"], "state": "kept" if about["kept"] else "dropped"}
            entropies.append(
                {**identity, "variable": name, "categories": ", ".join(categories(name)), **state}
            )
    columns = ["game", *BLOCK, "seed", "variable", "categories", "entropy", "state"]
    frame = pd.DataFrame(shares)
    # Not every protocol has every part, nor every reason.
    return frame.fillna(dict.fromkeys(frame.select_dtypes("number"), 0)), pd.DataFrame(
        entropies, columns=columns
    )


def frames_by(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> dict[str, int]:
    """How many frames a split has in all, in each part, and dropped for each reason."""
    dropped = header["parts"].index("dropped")
    parts = np.bincount(arrays["part"], minlength=len(header["parts"]))
    reasons = np.bincount(
        arrays["reason"][arrays["part"] == dropped], minlength=len(header["reasons"])
    )
    counts = dict(zip(header["parts"], parts.tolist(), strict=True))
    ordered = {name: counts.get(name, 0) for name in ("train", "val", "test", "dropped")}
    why = {
        name: n
        for name, n in zip(header["reasons"], reasons.tolist(), strict=True)
        if name != "its episode"
    }
    return {"frames": len(arrays["part"]), **ordered, **why}


def read_histories(paths: list[Path]) -> pd.DataFrame:
    """How each training went, a row a training of an encoder that learns."""
    rows = []
    for path in paths:
        history = read_history(path)
        if len(history):
            policy, protocol, method = path.parts[-4:-1]
            game, _, seed = path.stem.rpartition("-s")
            losses = history.set_index("epoch")["val_loss"]
            about = {
                "epochs": int(losses.index.max()),
                "untrained": losses.iloc[0],
                "least": losses.min(),
            }
            at = (
                losses.idxmin() if losses.notna().any() else np.nan
            )  # none is a number where a training diverged at once
            about |= {
                "at_epoch": at,
                "last": losses.iloc[-1],
                "last_train": history["train_loss"].iloc[-1],
            }
            rows.append(
                {
                    "game": game,
                    "policy": policy,
                    "protocol": protocol,
                    "method": method,
                    "seed": seed,
                    **about,
                }
            )
    names = [
        "game",
        *BLOCK,
        "method",
        "seed",
        "epochs",
        "untrained",
        "least",
        "at_epoch",
        "last",
        "last_train",
    ]
    return pd.DataFrame(rows, columns=names)


def read_out(config: Config, scores: pd.DataFrame, level: str) -> pd.DataFrame:
    """F1 and accuracy of a level, mean over seeds: rows (policy, protocol, game, name), two columns a method."""
    parts = {}
    for metric in ("f1", "accuracy"):
        parts[metric], _ = aggregate.over_seeds(aggregate.values(config, scores, level, metric))
    columns = {
        f"{method}_{metric}": parts[metric][method] for method in config.methods for metric in parts
    }
    frame = pd.DataFrame(columns).dropna(axis=1, how="all")
    named = dict.fromkeys(frame.index.droplevel(BLOCK))
    rows = [
        (*block, *one) for one in named for block in aggregate.blocks(config)
    ]  # the protocols of a name side by side
    frame = frame.reindex([row for row in rows if row in frame.index])
    return frame.reset_index().rename(columns={"name": level})


def headlines(config: Config, table2: pd.DataFrame) -> Table:
    """The last rows of Table 2, a row a method: its mean F1 in each protocol and how far it is from what was published."""
    means = table2[table2["game"] == "mean"].set_index(BLOCK)
    if means.index.has_duplicates:
        raise DamagedFile(
            "the table of F1 by game is damaged (a block has two means): delete it and make it again"
        )
    means = means.reindex(aggregate.blocks(config))
    rows = []
    for policy, method in itertools.product(config.policies, config.methods):
        row = {"method": method, "policy": policy}
        for protocol in config.protocols:
            mean = means.loc[policy, protocol]
            ours, published = (mean.get(name, np.nan) for name in (method, f"{method}_paper"))
            own = {
                "f1": ours,
                "std": mean.get(f"{method}_std", np.nan),
                "difference": ours - published,
            }
            row |= {f"protocol {protocol}_{name}": value for name, value in own.items()} | {
                "published": published
            }
        rows.append(row)
    caption = f"Mean over categories and over the games of this run; published ({PAPER}): the mean of the same games."
    caption = " ".join(filter(None, [caption, other_labels(config)]))
    frame = pd.DataFrame(rows)
    frame.insert(2, "published", frame.pop("published"))
    return table(config, frame, "headline", "Mean F1 by method", caption, tinted=True)


# What ran, and on what.


def setting(config: Config) -> dict[str, str]:
    """The settings that all games share, as they read."""
    frames = config.episodes.frames
    return {
        "Seeds": ", ".join(map(str, config.seeds)),
        "Policies": ", ".join(config.policies),
        "Protocols": ", ".join(config.protocols),
        "Label set": config.label_set,
        "Frames a game": f"{frames.pretrain:,} for encoders, {frames.probe:,} for probes",
        "Epochs at most": f"{config.training.epochs} for encoders, {config.probe.epochs} for probes",
        "Probes": ", ".join(config.probe.kinds),
    }


def methods(config: Config) -> Table:
    """The rows of ``methods``: what each learns, and what it is told beside the run's settings."""
    rows = []
    for name, row in config.methods.items():
        own = (
            row.model_dump(exclude_defaults=True, exclude={"kind", "encoder", "options"})
            | row.resolved_options
        )
        encoder = "" if not row.has_encoder else row.encoder if row.kind != "custom" else row.module
        learns = {None: "nothing", "pretrain": "frames", "probe": "labels"}[row.learns_from]
        said = ", ".join(
            f"{key} {value}" for key, value in own.items() if key not in ("module", "kwargs")
        )
        rows.append(
            {
                "method": name,
                "kind": row.kind,
                "learns_from": learns,
                "encoder": encoder,
                "settings": said,
            }
        )
    return table(
        config,
        pd.DataFrame(rows),
        "methods",
        "Methods",
        "Columns of the tables, and what each is made of.",
    )


def protocols(config: Config) -> Table:
    """The protocols side by side, a row a switch."""
    rows = [
        {"quirk": quirk, "step": section, "switch": name, **values, "meaning": meaning}
        for quirk, section, name, meaning, values in switches(config)
    ]
    return table(
        config,
        pd.DataFrame(rows),
        "protocols",
        "Protocols",
        "Switches for the quirks of the 2019 code.",
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what comes out, where they are there."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """Of the machine that made the page: its processor and GPUs; nothing that differs from one moment to another."""
    found = {
        "Processor": _processor(),
        "Cores": str(os.cpu_count()),
        "System": f"{platform.system()} {platform.machine()}",
    }
    return found | {"GPU": ", ".join(_gpus()) or "none"}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _gpus() -> Iterator[str]:
    """Names of NVIDIA's GPUs, looked up without torch, which takes seconds to load."""
    if shutil.which("nvidia-smi") is None:
        return
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0:
        yield from filter(None, map(str.strip, done.stdout.splitlines()))
