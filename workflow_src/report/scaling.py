"""How F1 grows with the frames that an encoder learns from, as table and figure.

The base protocol is compared with itself where encoders learn from the first so many percent of
their frames; what is probed is the same. Its scores are a file of their own, in the format of
scores.csv.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report import aggregate, latex, style, tables
from workflow_src.report.aggregate import MEAN
from workflow_src.report.names import method_name
from workflow_src.report.scores import read_scores

SCALING = "scaling"


def write_scaling(config: Config, scores: Path, out_tables: Path, out_figures: Path) -> None:
    """Write the table (CSV, LaTeX) and the figure (PDF, PNG) into their folders; ``scores`` has base and parts.

    `UserError` when the configuration has no such study, or when scores are missing.
    """
    if config.scaling is None:
        raise UserError("the configuration has no scaling: name a base, percents and methods")
    table = by_frames(config, read_scores(scores))
    tables.write(table, latex_by_frames(config, table), out_tables / SCALING)
    style.save(growth(config, table), out_figures / SCALING)


def by_frames(config: Config, scores: pd.DataFrame) -> pd.DataFrame:
    """F1 (mean over categories and seeds) by frames. One row per (policy, method, game, frames), game ``mean`` last.

    Columns: policy, method, game, percent, frames (collected for the encoder, before some of them
    are dropped), f1, f1_std (over seeds, empty of a single one).
    """
    found, spread = aggregate.over_seeds(aggregate.of_study(_run(config), scores, "scaling"))
    sizes = dict(
        sorted(
            (config.derived.scaling.percents | {config.scaling.base: 100}).items(),
            key=lambda size: size[1],
        )
    )
    rows = [
        {
            "policy": policy,
            "method": method,
            "game": game,
            "percent": percent,
            "frames": config.episodes.frames.pretrain * config.derived.percent(protocol) // 100,
            "f1": found.loc[(policy, protocol, game), method],
            "f1_std": spread.loc[(policy, protocol, game), method],
        }
        for policy in config.policies
        for method in config.scaling.methods
        for game in [*config.games, MEAN]
        for protocol, percent in sizes.items()
    ]
    return pd.DataFrame(rows)


def _run(config: Config) -> Config:
    """The study as a run of its own, whose protocols are its base and parts."""
    row = config.protocols[config.scaling.base]
    methods = {method: config.methods[method] for method in config.scaling.methods}
    return config.model_copy(
        update={
            "protocols": dict.fromkeys(
                [config.scaling.base, *config.derived.scaling.percents], row
            ),
            "methods": methods,
        }
    )


def latex_by_frames(config: Config, table: pd.DataFrame) -> str:
    """The study as LaTeX: a column for each number of frames."""
    base = config.scaling.base
    caption = (
        f"Probe F1 (mean over categories) of protocol {base} against the frames collected for the encoder, as if collecting "
        "had stopped there; as ever, not all of them are of train or validation. "
        + tables.setting(
            _run(config).model_copy(update={"protocols": {base: config.protocols[base]}})
        )
    )
    sizes = table[["percent", "frames"]].drop_duplicates()
    head = [
        "Game",
        *(f"{frames:,} ({percent} %)" for percent, frames in sizes.itertuples(index=False)),
    ]
    parts = []
    for (policy, method), rows in table.groupby(["policy", "method"], sort=False):
        lines = [
            [
                "Mean" if game == MEAN else game,
                *map(tables.number, of_game["f1"], of_game["f1_std"]),
            ]
            for game, of_game in rows.groupby("game", sort=False)
        ]
        parts.append(latex.Part(f"{method_name(method)}, policy {policy}", lines[:-1], lines[-1:]))
    return latex.table(SCALING, caption, head, parts)


def growth(config: Config, table: pd.DataFrame) -> Figure:
    """F1 against frames, both the mean over games (thick) and each game (thin); a panel for a policy, a colour for a method.

    Bars are a standard deviation over seeds, of the mean.
    """
    with style.styled():
        figure = Figure(
            figsize=(style.COLUMN_WIDTH, 1.9 * len(config.policies) + 0.5), layout="constrained"
        )
        grid = figure.subplots(len(config.policies), 1, sharex=True, squeeze=False)[:, 0]
        for axes, policy in zip(grid, config.policies, strict=True):
            axes.set_title(policy)
            for number, method in enumerate(config.scaling.methods):
                look = style.series(number)
                rows = table[(table["policy"] == policy) & (table["method"] == method)]
                # Of one game the mean is all there is to see.
                for game, part in rows.groupby("game") if len(config.games) > 1 else ():
                    if game != MEAN:
                        axes.plot(
                            part["frames"],
                            part["f1"],
                            color=look["color"],
                            linewidth=0.5,
                            alpha=0.4,
                        )
                mean = rows[rows["game"] == MEAN]
                bars = None if len(config.seeds) == 1 else mean["f1_std"]
                axes.errorbar(
                    mean["frames"],
                    mean["f1"],
                    bars,
                    linewidth=1.2,
                    markersize=4,
                    label=method_name(method),
                    **look,
                )
            axes.set_xscale("log")
            ticks = np.unique(table["frames"])
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylabel("F1")
            axes.grid(axis="y", color=style.MISSING, linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        games = (
            f"mean of {len(config.games)} games; thin: each game"
            if len(config.games) > 1
            else config.games[0]
        )
        figure.supxlabel(f"Frames collected for the encoder\n({games})", fontsize=7)
        figure.legend(
            *grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
        )
    return figure
