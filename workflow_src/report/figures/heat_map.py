"""Heat maps: scores as coloured cells with their numbers."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from workflow_src.config.run import Config
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.figures import style
from workflow_src.report.names import DASH, method_name

# Inches: the smallest cell, which holds "0.58", and what is around the cells.
_CELL_WIDTH, _CELL_HEIGHT = 0.33, 0.18
_TITLE, _BAR = 0.3, 0.5
_LETTER, _CAPITAL = 0.056, 0.07


def heat_map(config: Config, mean: pd.DataFrame, rows: list[str]) -> Figure:
    """F1 by ``rows`` (games or categories) and method.

    ``mean`` has the rows of every (policy, protocol) below one another, and a column for each
    method. Each (policy, protocol) is a panel; the panels of a policy are side by side if they fit.
    A missing cell is a dash on grey. Colours span 0 to 1, so any two such figures are comparable.
    """
    names = [method_name(method) for method in config.methods]
    around = max(map(len, rows)) * _LETTER + _BAR
    wide = around + _CELL_WIDTH * len(names) * len(config.protocols)
    across = len(config.protocols) if wide <= 2 * style.COLUMN_WIDTH else 1
    down = len(config.policies) * len(config.protocols) // across
    longest = max(map(len, names)) * _CAPITAL
    panel = _CELL_HEIGHT * len(rows)
    cells = max(_CELL_WIDTH * len(names) * across, style.COLUMN_WIDTH - around)
    slanted = longest > cells / (len(names) * across)
    height = down * (panel + _TITLE) + (longest * 0.75 if slanted else 0.15)
    with style.styled():
        figure = Figure(figsize=(cells + around, height), layout="constrained")
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
    # White lines between the cells, so that neighbours of one colour are told apart.
    axes.set_xticks(np.arange(values.shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(values.shape[0] - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    return image


def _luminance(color: tuple[float, ...]) -> float:
    """How bright a colour (red, green, blue from 0 to 1) looks, from 0 to 1 (ITU-R BT.709)."""
    return float(np.dot(color[:3], (0.2126, 0.7152, 0.0722)))
