"""Figures from our scores. Each is one function that returns a matplotlib figure, and one line of `write_figures`."""

import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from workflow_src import layout
from workflow_src.config.run import Config
from workflow_src.report import aggregate, style
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.names import CATEGORY_NAMES, DASH, method_name
from workflow_src.report.scores import read_scores

HEAT_MAP, CATEGORIES, IQM, ABLATIONS = "f1_by_game", "f1_by_category", "iqm", "ablations"

# Inches: the least cell, which holds "0.58", and what stands around the cells.
_CELL_WIDTH, _CELL_HEIGHT = 0.33, 0.18
_TITLE, _BAR = 0.3, 0.5
_LETTER, _CAPITAL = 0.056, 0.07
# A row of points, and what stands above and below them.
_POINT, _BELOW = 0.11, 0.7


def write_figures(config: Config, scores: Path, out: Path) -> None:
    """Write every figure as PDF and PNG into the folder ``out``; ``scores`` is scores.csv."""
    ours = read_scores(scores)
    by_game, _ = aggregate.over_seeds(aggregate.by_game(config, ours))
    by_category, _ = aggregate.over_seeds(aggregate.by_category(config, ours))
    style.save(heat_map(config, by_game, config.games), out / HEAT_MAP)
    style.save(heat_map(config, by_category, list(CATEGORY_NAMES.values())), out / CATEGORIES)
    style.save(interquartile_means(config, ours), out / IQM)
    if layout.ablated(config):
        style.save(ablations(config, ours), out / ABLATIONS)


def heat_map(config: Config, mean: pd.DataFrame, rows: list[str]) -> Figure:
    """F1 by ``rows`` (games or categories) and method: a panel for each policy and protocol, beside one another where they fit.

    ``mean`` has the rows of every (policy, protocol) below one another, and a column a method. A
    missing cell is a dash on grey. Colours span 0 to 1, so that any two such figures compare.
    """
    names = [method_name(method) for method in config.methods]
    beside = max(map(len, rows)) * _LETTER + _BAR
    wide = beside + _CELL_WIDTH * len(names) * len(config.protocols)
    across = len(config.protocols) if wide <= 2 * style.COLUMN_WIDTH else 1
    down = len(config.policies) * len(config.protocols) // across
    longest = max(map(len, names)) * _CAPITAL
    panel = _CELL_HEIGHT * len(rows)
    cells = max(_CELL_WIDTH * len(names) * across, style.COLUMN_WIDTH - beside)
    slanted = longest > cells / (len(names) * across)
    height = down * (panel + _TITLE) + (longest * 0.75 if slanted else 0.15)
    with style.styled():
        figure = Figure(figsize=(cells + beside, height), layout="constrained")
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for axes, ((policy, protocol), values) in zip(
            grid.flat, mean.groupby(BLOCK, sort=False), strict=True
        ):
            axes.set_title(f"{policy}, {protocol}")
            image = _draw_cells(axes, values.to_numpy())
        for axes in grid[:, 0]:
            axes.set_yticks(range(len(rows)), rows)
        slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        for axes in grid[-1]:
            axes.set_xticks(range(len(names)), names, **slant)
        bar = figure.colorbar(
            image, ax=grid, label="F1", pad=0.02, aspect=max(3, 10 * down * panel)
        )  # a tenth of an inch wide
        bar.outline.set_visible(False)
    return figure


def interquartile_means(config: Config, scores: pd.DataFrame) -> Figure:
    """Interquartile mean of F1 by method, with its interval: a panel for a policy, a colour for a protocol.

    A method without scores has a dash; of a single seed there are no intervals, and the label below
    says so.
    """
    found = aggregate.interquartile_means(config, scores)
    counts = sorted(set(aggregate.game_counts(config, scores)))
    games, seeds = " or ".join(map(str, counts)), len(config.seeds)
    what = (
        f"{aggregate.CONFIDENCE:.0%} bootstrap intervals"
        if seeds > 1
        else "one seed, so no intervals"
    )
    below = f"Interquartile mean of F1 over {games} games × {seeds} seed{'s' if seeds > 1 else ''}\n({what})"
    names = [method_name(method) for method in config.methods]
    parts = {block: part.droplevel(BLOCK) for block, part in found.groupby(BLOCK)}
    panels = [
        (policy, [(protocol, parts[policy, protocol]) for protocol in config.protocols])
        for policy in config.policies
    ]
    return points(panels, names, below, centre="iqm")


def ablations(config: Config, scores: pd.DataFrame) -> Figure:
    """F1 by category, and over categories, of ST-DIM and what the paper took away from it: bars, a panel for each block.

    Lines are a standard deviation over seeds; a bar without scores is a dash.
    """
    methods = layout.ablated(config)
    overall = pd.concat(
        {MEAN: aggregate.over_games(aggregate.by_game(config, scores))}, names=["category"]
    )
    by_category = aggregate.by_category(config, scores)
    every = pd.concat([by_category, overall.reorder_levels(by_category.index.names)])
    mean, spread = aggregate.over_seeds(
        every.reindex(aggregate.blocks(config, category=[*CATEGORY_NAMES, MEAN]))
    )
    found = {block: (part, spread.loc[part.index]) for block, part in mean.groupby(BLOCK)}
    blocks = list(aggregate.blocks(config))
    groups = [
        "\n".join(textwrap.wrap(name.replace("/", "/ "), 14))
        for name in (*CATEGORY_NAMES.values(), "Mean over categories")
    ]
    groups = [group.replace("/ ", "/") for group in groups]
    width = 0.8 / len(methods)
    with style.styled():
        figure = Figure(
            figsize=(2 * style.COLUMN_WIDTH, 1.4 * len(blocks) + 0.6), layout="constrained"
        )
        grid = figure.subplots(len(blocks), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, block in zip(grid, blocks, strict=True):
            axes.set_title(", ".join(block))
            for number, method in enumerate(methods):
                means, spreads = (part[method].to_numpy() for part in found[block])
                x = np.arange(len(groups)) + (number - (len(methods) - 1) / 2) * width
                spreads = None if len(config.seeds) == 1 else spreads
                color = style.series(number)["color"]
                axes.bar(
                    x,
                    means,
                    width * 0.92,
                    yerr=spreads,
                    color=color,
                    label=method_name(method),
                    error_kw={"linewidth": 0.6},
                )
                for place in x[np.isnan(means)]:
                    axes.text(place, 0.01, DASH, color=color, ha="center", fontsize=6)
            axes.set(ylim=(0, 1), ylabel="F1")
            axes.grid(axis="y", color=style.MISSING, linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        grid[-1].set_xticks(range(len(groups)), groups)
        grid[-1].tick_params(axis="x", length=0)
        figure.legend(
            *grid[0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=len(methods),
            frameon=False,
        )
    return figure


def points(
    panels: list[tuple[str, list[tuple[str, pd.DataFrame]]]],
    names: list[str],
    below: str,
    centre: str,
) -> Figure:
    """Draw points with intervals beside ``names``: a panel for a title, a colour for a series, NaN a dash at the left.

    A series is its label and a table whose rows are ``names``: columns ``centre`` and, NaN for
    none, ``low`` and ``high``.
    """
    series = len(panels[0][1])
    row = _POINT * max(series, 1.4) + 0.06
    lines = sum(name.count("\n") + 1 for name in names)
    height = len(panels) * (max(row * len(names), 0.13 * lines) + _TITLE) + _BELOW
    with style.styled():
        figure = Figure(figsize=(style.COLUMN_WIDTH, height), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, tables) in zip(grid, panels, strict=True):
            axes.set_title(title)
            for number, (label, table) in enumerate(tables):
                look = style.series(number)
                y = np.arange(len(names)) + (number - (series - 1) / 2) * 0.7 / series
                axes.hlines(y, table["low"], table["high"], color=look["color"], linewidth=1)
                for end in ("low", "high"):
                    axes.plot(
                        table[end],
                        y,
                        linestyle="none",
                        marker="|",
                        markersize=4,
                        color=look["color"],
                    )
                axes.plot(
                    table[centre],
                    y,
                    linestyle="none",
                    markersize=3,
                    markeredgewidth=0,
                    label=label,
                    **look,
                )
                for place in y[table[centre].isna()]:
                    beside = axes.get_yaxis_transform()
                    axes.text(
                        0.01,
                        place,
                        DASH,
                        color=look["color"],
                        va="center",
                        fontsize=6,
                        transform=beside,
                    )
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color=style.MISSING, linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right", "left"]].set_visible(False)
        figure.supxlabel(below, fontsize=7)
        if series > 1:
            handles, labels = grid[0].get_legend_handles_labels()
            figure.legend(
                handles, labels, loc="outside upper center", ncols=min(series, 3), frameon=False
            )
    return figure


def _draw_cells(axes: Axes, values: np.ndarray) -> AxesImage:
    """Draw ``values`` (rows × columns, NaN for missing) as coloured cells with their numbers."""
    colors = matplotlib.colormaps[style.COLORS].with_extremes(bad=style.MISSING)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colors, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        missing = np.isnan(value)
        text = DASH if missing else f"{value:.2f}"
        dark = not missing and _luminance(colors(value)) < 0.45
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=6,
            color="white" if dark else "black",
        )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # White lines between the cells, so that neighbours of one colour stay apart.
    axes.set_xticks(np.arange(values.shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(values.shape[0] - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    return image


def _luminance(color: tuple[float, ...]) -> float:
    """How bright a colour (red, green, blue from 0 to 1) looks, from 0 to 1 (ITU-R BT.709)."""
    return float(np.dot(color[:3], (0.2126, 0.7152, 0.0722)))
