"""Scaling: how F1 grows with the number of frames that an encoder learns from.

The base protocol is compared with itself where encoders learn from the first so many percent of
their frames. The probes' frames are the same.
"""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from workflow_src.config.run import Config
from workflow_src.config.studies import ScalingStudy
from workflow_src.report import aggregate
from workflow_src.report.aggregate import MEAN
from workflow_src.report.data import Data
from workflow_src.report.figures import style
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import method_name
from workflow_src.report.tables.captions import how_made
from workflow_src.report.tables.rendering import score_text


def table(config: Config, data: Data) -> pd.DataFrame:
    """F1 (mean over categories and seeds) by number of frames.

    One row for each (policy, method, game, frames), ``mean`` the last game. Columns: policy,
    method, game, percent, frames (collected for the encoder, before some are dropped), f1, f1_std
    (over seeds, empty with a single one).
    """
    study = config.derived.scaling
    scores = aggregate.of_study(_as_run(config), data.scores, "scaling")
    found, spread = aggregate.over_seeds(scores)
    sizes = study.percents | {study.base: 100}
    rows = []
    for policy, method, game in _groups(config, study):
        for protocol, percent in sorted(sizes.items(), key=lambda size: size[1]):
            names = {"policy": policy, "method": method, "game": game, "percent": percent}
            values = {
                "frames": config.episodes.frames.pretrain * percent // 100,
                "f1": found.loc[(policy, protocol, game), method],
                "f1_std": spread.loc[(policy, protocol, game), method],
            }
            rows.append(names | values)
    return pd.DataFrame(rows)


def _groups(config: Config, study: ScalingStudy) -> list[tuple[str, str, str]]:
    """Every (policy, method, game), with ``mean`` as the last game."""
    axes = (config.policies, study.methods, [*config.games, MEAN])
    return list(itertools.product(*axes))


def _as_run(config: Config) -> Config:
    """The study as a run of its own, whose protocols are its base and parts."""
    study = config.derived.scaling
    methods = {method: config.methods[method] for method in study.methods}
    protocols = {study.base: study.row, **study.derived}
    return config.model_copy(update={"protocols": protocols, "methods": methods})


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX: a column for each number of frames."""
    base = config.derived.scaling.base
    base_alone = {"protocols": {base: config.protocols[base]}}
    caption = (
        f"Probe F1 (mean over categories) of protocol {base} against the frames collected for the "
        "encoder, as if collecting had stopped there; as ever, not all of them are of train or "
        f"validation. {how_made(_as_run(config).model_copy(update=base_alone))}"
    )
    sizes = table[["percent", "frames"]].drop_duplicates().itertuples(index=False)
    header = ["Game", *(f"{frames:,} ({percent} %)" for percent, frames in sizes)]
    parts = []
    for (policy, method), rows in table.groupby(["policy", "method"], sort=False):
        lines = []
        for game, of_game in rows.groupby("game", sort=False):
            cells = map(score_text, of_game["f1"], of_game["f1_std"])
            lines.append(["Mean" if game == MEAN else str(game), *cells])
        parts.append(Part(f"{method_name(method)}, policy {policy}", lines[:-1], lines[-1:]))
    return typeset("scaling", caption, header, parts)


def figure(config: Config, data: Data) -> Figure:
    """F1 against frames, the mean over games (thick) and each game (thin).

    A panel for each policy, a colour for each method. Bars are one standard deviation of the mean
    over seeds.
    """
    study, found = config.derived.scaling, table(config, data)
    with style.styled():
        figure = Figure(
            figsize=(style.COLUMN_WIDTH, 1.9 * len(config.policies) + 0.5), layout="constrained"
        )
        grid = figure.subplots(len(config.policies), 1, sharex=True, squeeze=False)[:, 0]
        for axes, policy in zip(grid, config.policies, strict=True):
            axes.set_title(policy)
            for number, method in enumerate(study.methods):
                rows = found[(found["policy"] == policy) & (found["method"] == method)]
                _draw_method(axes, config, method, rows, number)
            axes.set_xscale("log")
            ticks = np.unique(found["frames"])
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylabel("F1")
            axes.grid(axis="y", color=style.MISSING, linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        games = f"mean of {len(config.games)} games; thin: each game"
        games = games if len(config.games) > 1 else config.games[0]
        figure.supxlabel(f"Frames collected for the encoder\n({games})", fontsize=7)
        figure.legend(
            *grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
        )
    return figure


def _draw_method(axes: Axes, config: Config, method: str, rows: pd.DataFrame, number: int) -> None:
    """Draw the mean and, if there are several, each game of a method, the series ``number``."""
    look = style.series(number)
    if len(config.games) > 1:
        for game, part in rows.groupby("game"):
            if game != MEAN:
                axes.plot(part["frames"], part["f1"], color=look["color"], linewidth=0.5, alpha=0.4)
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
