"""F1 by category of ST-DIM and its ablations, as bars."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_src.catalogue import ablated
from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.data import Data
from workflow_src.report.figures import style
from workflow_src.report.names import CATEGORY_NAMES, DASH, method_name


def figure(config: Config, data: Data) -> Figure:
    """Bars by category and over categories, a panel for each policy and protocol.

    Lines are one standard deviation over seeds; a bar without scores is a dash.
    """
    blocks = list(aggregate.blocks(config))
    found = _scores(config, data)
    groups = [_wrapped(name) for name in (*CATEGORY_NAMES.values(), "Mean over categories")]
    methods = ablated(config)
    with style.styled():
        figure = Figure(
            figsize=(2 * style.COLUMN_WIDTH, 1.4 * len(blocks) + 0.6), layout="constrained"
        )
        grid = figure.subplots(len(blocks), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, block in zip(grid, blocks, strict=True):
            axes.set_title(", ".join(block))
            means, spreads = found[block]
            for number, method in enumerate(methods):
                deviations = None if len(config.seeds) == 1 else spreads[method].to_numpy()
                _draw_bars(axes, means[method], deviations, number, len(methods))
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


def _scores(config: Config, data: Data) -> dict[tuple, tuple[pd.DataFrame, pd.DataFrame]]:
    """{(policy, protocol): (means, standard deviations)}, by category and over categories."""
    by_game = aggregate.by_game(config, data.scores)
    overall = pd.concat({MEAN: aggregate.over_games(by_game)}, names=["category"])
    by_category = aggregate.by_category(config, data.scores)
    every = pd.concat([by_category, overall.reorder_levels(by_category.index.names)])
    rows = aggregate.blocks(config, category=[*CATEGORY_NAMES, MEAN])
    mean, spread = aggregate.over_seeds(every.reindex(rows))
    return {block: (part, spread.loc[part.index]) for block, part in mean.groupby(BLOCK)}


def _wrapped(name: str) -> str:
    """A name in lines of at most 14 letters, also broken after a slash."""
    lines = textwrap.wrap(name.replace("/", "/ "), 14)
    return "\n".join(lines).replace("/ ", "/")


def _draw_bars(
    axes: Axes, means: pd.Series, deviations: np.ndarray | None, number: int, count: int
) -> None:
    """Draw the bars of the method ``number`` of ``count``."""
    width = 0.8 / count
    x = np.arange(len(means)) + (number - (count - 1) / 2) * width
    color = style.series(number)["color"]
    axes.bar(
        x,
        means.to_numpy(),
        width * 0.92,
        yerr=deviations,
        color=color,
        label=method_name(str(means.name)),
        error_kw={"linewidth": 0.6},
    )
    for position in x[means.isna().to_numpy()]:
        axes.text(position, 0.01, DASH, color=color, ha="center", fontsize=6)
