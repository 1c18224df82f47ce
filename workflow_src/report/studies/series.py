"""F1 of a protocol and of those derived from it, ordered by one number: its table and figure."""

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from workflow_src.config.run import Config
from workflow_src.config.studies import ConvergenceStudy, ScalingStudy
from workflow_src.report import aggregate
from workflow_src.report.aggregate import MEAN
from workflow_src.report.figures import style
from workflow_src.report.latex import Part
from workflow_src.report.names import method_name
from workflow_src.report.tables.rendering import score_text


def table(
    config: Config,
    scores: pd.DataFrame,
    name: str,
    study: ScalingStudy | ConvergenceStudy,
    sizes: Mapping[str, Mapping[str, int]],
) -> pd.DataFrame:
    """F1 (mean over categories and seeds) of the study ``name``.

    One row for each (policy, method, game) and protocol in the order of ``sizes``, which gives each
    protocol's columns; ``mean`` is the last game. Columns: policy, method, game, those of
    ``sizes``, f1, f1_std (over seeds, empty with a single one).
    """
    found, spread = aggregate.over_seeds(aggregate.of_study(as_run(config, study), scores, name))
    rows = []
    for policy, method, game in itertools.product(
        config.policies, study.methods, [*config.games, MEAN]
    ):
        for protocol, columns in sizes.items():
            names = {"policy": policy, "method": method, "game": game, **columns}
            values = {
                "f1": found.loc[(policy, protocol, game), method],
                "f1_std": spread.loc[(policy, protocol, game), method],
            }
            rows.append(names | values)
    return pd.DataFrame(rows)


def as_run(config: Config, study: ScalingStudy | ConvergenceStudy) -> Config:
    """The study as a run of its own, whose protocols are its base and those derived."""
    methods = {method: config.methods[method] for method in study.methods}
    protocols = {study.base: study.row, **study.derived}
    return config.model_copy(update={"protocols": protocols, "methods": methods})


def base_alone(config: Config, study: ScalingStudy | ConvergenceStudy) -> Config:
    """`as_run` without the derived protocols, as captions describe it."""
    return as_run(config, study).model_copy(update={"protocols": {study.base: study.row}})


def parts(table: pd.DataFrame) -> list[Part]:
    """The rows of a LaTeX table: a part for each policy and method, the mean last."""
    found = []
    for (policy, method), rows in table.groupby(["policy", "method"], sort=False):
        lines = []
        for game, of_game in rows.groupby("game", sort=False):
            cells = map(score_text, of_game["f1"], of_game["f1_std"])
            lines.append(["Mean" if game == MEAN else str(game), *cells])
        found.append(Part(f"{method_name(method)}, policy {policy}", lines[:-1], lines[-1:]))
    return found


def figure(
    config: Config, table: pd.DataFrame, methods: Iterable[str], x: str, label: str
) -> Figure:
    """F1 against the column ``x``, the mean over games (thick) and each game (thin).

    A panel for each policy, a colour for each method. Bars are one standard deviation of the mean
    over seeds.
    """
    with style.styled():
        figure = Figure(
            figsize=(style.COLUMN_WIDTH, 1.9 * len(config.policies) + 0.5), layout="constrained"
        )
        grid = figure.subplots(len(config.policies), 1, sharex=True, squeeze=False)[:, 0]
        for axes, policy in zip(grid, config.policies, strict=True):
            axes.set_title(policy)
            for number, method in enumerate(methods):
                rows = table[(table["policy"] == policy) & (table["method"] == method)]
                _draw_method(axes, config, method, rows, number, x)
            axes.set_xscale("log")
            ticks = np.unique(table[x])
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylabel("F1")
            axes.grid(axis="y", color=style.MISSING, linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        games = f"mean of {len(config.games)} games; thin: each game"
        games = games if len(config.games) > 1 else config.games[0]
        figure.supxlabel(f"{label}\n({games})", fontsize=7)
        handles, labels = grid[0].get_legend_handles_labels()
        long = max(map(len, labels)) > 12  # then three columns are wider than the figure
        figure.legend(
            handles,
            labels,
            loc="outside upper center",
            ncols=2 if long else 3,
            fontsize=5.5 if long else None,
            columnspacing=1.0,
            frameon=False,
        )
    return figure


def _draw_method(
    axes: Axes, config: Config, method: str, rows: pd.DataFrame, number: int, x: str
) -> None:
    """Draw the mean and, if there are several, each game of a method, the series ``number``."""
    look = style.series(number)
    if len(config.games) > 1:
        for game, part in rows.groupby("game"):
            if game != MEAN:
                axes.plot(part[x], part["f1"], color=look["color"], linewidth=0.5, alpha=0.4)
    mean = rows[rows["game"] == MEAN]
    bars = None if len(config.seeds) == 1 else mean["f1_std"]
    axes.errorbar(
        mean[x],
        mean["f1"],
        bars,
        linewidth=1.2,
        markersize=4,
        label=method_name(method),
        **look,
    )
