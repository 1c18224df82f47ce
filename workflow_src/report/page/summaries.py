"""Summaries of a run as frames: splits, entropies, trainings and scores, and the headline."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_src import artifacts, layout
from workflow_src.ari.labels import categories
from workflow_src.config.run import Config
from workflow_src.episodes.dataset import KIND as SPLIT_KIND
from workflow_src.errors import DamagedFile
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.figures.learning_curves import read_history
from workflow_src.report.page.cells import Table, lay_out
from workflow_src.report.tables.captions import PAPER, label_set_note

_SCORES = (
    "Test scores of the probe on frozen features, mean over seeds; "
    "for each method, its first probe."
)
# {key: (title, caption)} of the tables of a game.
_TITLES = {
    "splits": ("Frames by part", "Frames in each part, and why the others were dropped."),
    "entropies": (
        "Variables kept and dropped",
        "A variable is dropped if the entropy of its values, in nats, is below the threshold of "
        "the configuration.",
    ),
    "histories": (
        "Trainings",
        "Validation loss before the first epoch, at its minimum and at the end; "
        "training loss at the end.",
    ),
    "variables": ("By variable", _SCORES),
    "categories": ("By category", _SCORES),
}
_TINTED = ("variables", "categories")


@dataclass(frozen=True)
class Summaries:
    """Frames of a run, with a column ``game``; each game's view shows its rows."""

    splits: pd.DataFrame
    entropies: pd.DataFrame
    histories: pd.DataFrame
    by_variable: pd.DataFrame
    by_category: pd.DataFrame


def read(
    config: Config, scores: pd.DataFrame, splits: list[Path], histories: list[Path]
) -> Summaries:
    """Read the files of a run; `UserError` or `DamagedFile` when one is missing or damaged."""
    shares, entropies = read_splits(splits)
    return Summaries(
        splits=shares,
        entropies=entropies,
        histories=read_histories(histories),
        by_variable=by_name(config, scores, "variable"),
        by_category=by_name(config, scores, "category"),
    )


def table_of(config: Config, game: str) -> Callable[[pd.DataFrame, str], Table]:
    """A function that lays out the rows of ``game`` in a frame, as the table of a key."""

    def lay_out_rows(frame: pd.DataFrame, key: str) -> Table:
        rows = frame[frame["game"] == game].drop(columns="game")
        if "seed" in rows and len(config.seeds) == 1:
            rows = rows.drop(columns="seed")
        title, caption = _TITLES[key]
        return lay_out(config, rows, f"{key}-{game}", title, caption, tinted=key in _TINTED)

    return lay_out_rows


def read_splits(paths: list[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Frames by part and by reason of being dropped, a row for each split; and entropies.

    The entropies have a row for each variable of a split.
    """
    shares, entropies = [], []
    for path in paths:
        arrays, header = artifacts.read_arrays(path, SPLIT_KIND)
        layout.check_names(path, header)
        identity = {name: header[name] for name in ("game", *BLOCK)} | {"seed": str(header["seed"])}
        shares.append({**identity, "purpose": header["purpose"], **frame_counts(arrays, header)})
        for name, about in header.get("variables", {}).items():
            state = {"entropy": about["entropy"], "state": "kept" if about["kept"] else "dropped"}
            entropies.append(
                {**identity, "variable": name, "categories": ", ".join(categories(name)), **state}
            )
    columns = ["game", *BLOCK, "seed", "variable", "categories", "entropy", "state"]
    frame = pd.DataFrame(shares)
    # Not every protocol has every part, nor every reason.
    frame = frame.fillna(dict.fromkeys(frame.select_dtypes("number"), 0))
    return frame, pd.DataFrame(entropies, columns=columns)


def frame_counts(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> dict[str, int]:
    """How many frames a split has in all, in each part, and dropped for each reason."""
    dropped = arrays["part"] == header["parts"].index("dropped")
    parts = np.bincount(arrays["part"], minlength=len(header["parts"]))
    reasons = np.bincount(arrays["reason"][dropped], minlength=len(header["reasons"]))
    counts = dict(zip(header["parts"], parts.tolist(), strict=True))
    ordered = {name: counts.get(name, 0) for name in ("train", "val", "test", "dropped")}
    why = dict(zip(header["reasons"], reasons.tolist(), strict=True))
    why.pop("its episode", None)
    return {"frames": len(arrays["part"]), **ordered, **why}


def read_histories(paths: list[Path]) -> pd.DataFrame:
    """How each training went, a row for each training of an encoder that learns."""
    rows = []
    for path in paths:
        history = read_history(path)
        if len(history):
            policy, protocol, method = path.parts[-4:-1]
            game, _, seed = path.stem.rpartition("-s")
            names = {"game": game, "policy": policy, "protocol": protocol, "method": method}
            rows.append({**names, "seed": seed, **_course(history)})
    columns = ["game", *BLOCK, "method", "seed", "epochs", "untrained", "least", "at_epoch"]
    return pd.DataFrame(rows, columns=[*columns, "last", "last_train"])


def _course(history: pd.DataFrame) -> dict[str, float]:
    """The losses of one training at the epochs that matter."""
    losses = history.set_index("epoch")["val_loss"]
    return {
        "epochs": int(losses.index.max()),
        "untrained": losses.iloc[0],
        "least": losses.min(),
        # All are NaN where a training diverged at once.
        "at_epoch": losses.idxmin() if losses.notna().any() else np.nan,
        "last": losses.iloc[-1],
        "last_train": history["train_loss"].iloc[-1],
    }


def by_name(config: Config, scores: pd.DataFrame, level: str) -> pd.DataFrame:
    """F1 and accuracy of a level, mean over seeds.

    Rows (policy, protocol, game, name), two columns for each method; the protocols of a name are
    next to one another.
    """
    columns: dict[str, pd.Series] = {}
    for metric in ("f1", "accuracy"):
        means, _ = aggregate.over_seeds(aggregate.values(config, scores, level, metric))
        columns |= {f"{method}_{metric}": means[method] for method in config.methods}
    order = itertools.product(config.methods, ("f1", "accuracy"))
    frame = pd.DataFrame({name: columns[name] for name in map("_".join, order)})
    frame = frame.dropna(axis=1, how="all")
    named = dict.fromkeys(frame.index.droplevel(BLOCK))
    wanted = itertools.product(named, aggregate.blocks(config))
    rows = [(*block, *name) for name, block in wanted]
    frame = frame.reindex([row for row in rows if row in frame.index])
    return frame.reset_index().rename(columns={"name": level})


def headline_table(config: Config, table2: pd.DataFrame) -> Table:
    """The means of Table 2: a row for each method, F1 by protocol, difference to the published.

    `DamagedFile` if a block has two means.
    """
    means = table2[table2["game"] == MEAN].set_index(BLOCK)
    if means.index.has_duplicates:
        raise DamagedFile(
            "the table of F1 by game is damaged (a block has two means): "
            "delete it and make it again"
        )
    means = means.reindex(aggregate.blocks(config))
    rows = []
    for policy, method in itertools.product(config.policies, config.methods):
        row, theirs = {"method": method, "policy": policy}, np.nan
        for protocol in config.protocols:
            mean = means.loc[policy, protocol]
            ours, published = mean.get(method, np.nan), mean.get(f"{method}_paper", np.nan)
            theirs = published
            row[f"protocol {protocol}_f1"] = ours
            row[f"protocol {protocol}_std"] = mean.get(f"{method}_std", np.nan)
            row[f"protocol {protocol}_difference"] = ours - published
        rows.append(row | {"published": theirs})  # F1 first
    caption = (
        "Mean over categories and over the games of this run; "
        f"published ({PAPER}): the mean of the same games."
    )
    caption = " ".join(filter(None, [caption, label_set_note(config)]))
    frame = pd.DataFrame(rows)
    return lay_out(config, frame, "headline", "Mean F1 by method", caption, tinted=True)
