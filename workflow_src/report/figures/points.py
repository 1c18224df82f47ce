"""Points with intervals."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_src.report.figures import style
from workflow_src.report.names import DASH

# Inches: a row of points, a panel's title, and what is below the panels.
_POINT, _TITLE, _BELOW = 0.11, 0.3, 0.7


Series = tuple[str, pd.DataFrame]


def points(
    panels: list[tuple[str, list[Series]]],
    names: list[str],
    below: str,
    centre: str,
    least_span: float = 0.0,
) -> Figure:
    """Draw points with intervals: a panel for each title, a row for each name.

    A series has its own colour; it is a label and a table whose rows are ``names``, with the
    columns ``centre`` and, NaN for none, ``low`` and ``high``. A point that is NaN is a dash at the
    left. ``below`` is the label below the panels. The axis spans at least ``least_span``, so that
    scores that are close look close; with a single series each value stands beside its point.
    """
    count = len(panels[0][1])
    row = _POINT * max(count, 1.4) + 0.06
    lines = sum(name.count("\n") + 1 for name in names)
    height = len(panels) * (max(row * len(names), 0.13 * lines) + _TITLE) + _BELOW
    with style.styled():
        figure = Figure(figsize=(style.COLUMN_WIDTH, height), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, series) in zip(grid, panels, strict=True):
            axes.set_title(title)
            for number, (label, table) in enumerate(series):
                y = np.arange(len(names)) + (number - (count - 1) / 2) * 0.7 / count
                _draw_series(axes, table, y, label, style.series(number), centre)
                if count == 1:
                    _tell(axes, table, y, centre)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color=style.MISSING, linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right", "left"]].set_visible(False)
        _widen(grid[0], least_span)
        figure.supxlabel(below, fontsize=7)
        if count > 1:
            handles, labels = grid[0].get_legend_handles_labels()
            figure.legend(
                handles, labels, loc="outside upper center", ncols=min(count, 3), frameon=False
            )
    return figure


def _tell(axes: Axes, table: pd.DataFrame, y: np.ndarray, centre: str) -> None:
    """Write each value to the right of its point or interval."""
    right = table["high"].fillna(table[centre])
    for height, at, value in zip(y, right, table[centre], strict=True):
        if not np.isnan(value):
            axes.annotate(
                f"{value:.3f}",
                (at, height),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=6,
            )


def _widen(axes: Axes, least: float) -> None:
    """Give the shared axis a span of at least ``least``, and room for what stands beside points."""
    low, high = axes.get_xlim()
    span = max(high - low, least)
    middle = (low + high) / 2
    axes.set_xlim(middle - span / 2, middle + span / 2 + 0.08 * span)


def _draw_series(
    axes: Axes, table: pd.DataFrame, y: np.ndarray, label: str, look: dict[str, Any], centre: str
) -> None:
    """Draw the intervals, points and dashes of one series at the heights ``y``."""
    color = look["color"]
    axes.hlines(y, table["low"], table["high"], color=color, linewidth=1)
    for end in ("low", "high"):
        axes.plot(table[end], y, linestyle="none", marker="|", markersize=4, color=color)
    axes.plot(
        table[centre], y, linestyle="none", markersize=3, markeredgewidth=0, label=label, **look
    )
    at_left = axes.get_yaxis_transform()
    for height in y[table[centre].isna()]:
        axes.text(0.01, height, DASH, color=color, va="center", fontsize=6, transform=at_left)
