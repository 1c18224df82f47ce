"""The picture of a game's label audit: a row for each variable.

A row has the verdict and its numbers, how often the byte had each value, its course over all frames
and over the first ones, and where the screen changes when the byte is written.
"""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_src.ari.labels import decoder
from workflow_src.audit.measured import of_variables
from workflow_src.audit.verdict import ALIVE, CONSTANT, SUSPICIOUS, VERDICTS
from workflow_src.report.figures import style

COLORS = {ALIVE: "#0072B2", SUSPICIOUS: "#D55E00", CONSTANT: "#7F7F7F"}
DPI = {1: 140, 2: 110}  # by number of blocks

# Inches: a row, the parts of a block of rows, the gap between parts, and the margins above and
# below.
_ROW, _PARTS, _GAP, _ABOVE, _BELOW = 0.68, (2.55, 1.1, 1.1, 1.1, 0.52), 0.09, 0.62, 0.32
_HEADS = ("", "how often each value", "over all frames", "the first {closeup} frames", "changed")
# Rows of one block: more are shown in two.
_ROWS = 16
# Letters of a reason's line, and its lines.
_LETTERS, _LINES = 55, 2
_SHADES = 6


def picture(
    arrays: dict[str, np.ndarray], table: pd.DataFrame, label_set: str, header: dict[str, Any]
) -> Figure:
    """A row for each variable, in one block or in two side by side."""
    blocks = block_count(table)
    high = -(-len(table) // blocks)
    wide = sum(_PARTS) + _GAP * (len(_PARTS) + 1)
    size = (wide * blocks, _ROW * high + _ABOVE + _BELOW)
    screen = faded(arrays)
    read = decoder(label_set, header["game"])
    measured = {name: found for name, _, found in of_variables(arrays, read)}
    closeup = arrays["closeup"].shape[1]
    with style.styled():
        figure = Figure(figsize=size)
        counts = table["verdict"].value_counts()
        verdicts = ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)
        title = f"{header['game']}, {label_set}: {verdicts}"
        figure.text(0.08 / size[0], 1 - 0.16 / size[1], title, va="center", fontsize=9)
        for block in range(blocks):
            part = table.iloc[block * high : (block + 1) * high]
            left = block * wide + _GAP
            panels = []
            for width, head in zip(_PARTS, _HEADS, strict=True):
                box = (left / size[0], _BELOW / size[1], width / size[0], _ROW * high / size[1])
                panels.append(_panel(figure, box, high, head.format(closeup=closeup)))
                left += width + _GAP
            for row, one in enumerate(part.itertuples()):
                _draw_row(panels, row, one, measured[one.variable], screen)
            _label_axes(panels, header["frames"], closeup)
    return figure


def block_count(table: pd.DataFrame) -> int:
    """In how many blocks the rows of a table are drawn."""
    return 1 if len(table) <= _ROWS else 2


def _panel(figure: Figure, box: tuple[float, float, float, float], rows: int, head: str) -> Axes:
    """One part of a block: row ``i`` takes the heights from i to i + 1, downwards."""
    axes = figure.add_axes(box)
    axes.set(ylim=(rows, 0), yticks=[], xticks=[])
    axes.set_title(head, fontsize=7)
    axes.spines[:].set_visible(False)
    return axes


def _draw_row(
    panels: list[Axes], row: int, one: Any, found: dict[str, np.ndarray], screen: np.ndarray
) -> None:
    """Draw a variable into the panels of its block.

    ``one`` is its row of the table, ``found`` what was measured of its byte.
    """
    text, bars, overview, closeup, written = panels
    color = COLORS[one.verdict]
    for axes in panels:
        axes.axhline(row, color=style.MISSING, linewidth=0.5, zorder=0)
    _draw_text(text, row, one, color)
    _draw_counts(bars, row, found["counts"], color)
    points = {"marker": ".", "markersize": 1.6, "linestyle": "none", "markeredgewidth": 0}
    _draw_course(
        overview, row, one, found["overview"], {"color": color, **points, "antialiased": False}
    )
    _draw_course(closeup, row, one, found["closeup"], {"color": color, "linewidth": 0.6})
    _draw_written(written, row, found["pictures"], screen)


def _draw_text(axes: Axes, row: int, one: Any, color: str) -> None:
    """The variable's name and numbers, its verdict and the reason for it."""
    axes.text(0, row + 0.18, one.variable, fontsize=8, fontweight="bold", va="center")
    values = f"{one.values} values, {one.least} to {one.most}"
    values = values if one.values > 1 else f"1 value, {one.least}"
    read = "" if np.isnan(one.readable) else f"; read with R² {one.readable:.2f}"
    numbers = f"RAM {one.ram_index}: {values}; {one.entropy:.2f} nats"
    axes.text(0, row + 0.37, numbers, fontsize=6, va="center")
    written = f"written: {one.pixels:.2%} of the screen changes{read}"
    axes.text(0, row + 0.52, written, fontsize=6, va="center")
    lines = textwrap.wrap(f"{one.verdict}: {one.reason}" if one.reason else one.verdict, _LETTERS)
    last = textwrap.shorten(" ".join(lines[_LINES - 1 :]), _LETTERS, placeholder=" ...")
    shown = "\n".join([*lines[: _LINES - 1], last]).strip()
    axes.text(0, row + 0.61, shown, fontsize=6, va="top", color=color, linespacing=1.1)


def _draw_counts(axes: Axes, row: int, counts: np.ndarray, color: str) -> None:
    """How often the byte had each value; heights are square roots, so that rare values show."""
    heights = 0.8 * np.sqrt(counts / counts.max())
    bottom = row + 0.92
    values = np.arange(len(heights))
    axes.fill_between(values, bottom, bottom - heights, step="mid", color=color, linewidth=0.4)


def _draw_course(axes: Axes, row: int, one: Any, course: np.ndarray, look: dict[str, Any]) -> None:
    """The byte's values over time, from its least to its most; in the middle if it has one."""
    values = course.astype(float)
    spread = max(one.most - one.least, 1)
    share = (values - one.least) / spread if one.values > 1 else np.full_like(values, 0.5)
    axes.plot(np.arange(len(values)), row + 0.9 - 0.8 * share, **look)


def _draw_written(axes: Axes, row: int, pictures: np.ndarray, screen: np.ndarray) -> None:
    """Where the screen changes when the byte is written; in few shades, for small files."""
    strength = (_SHADES * np.sqrt(pictures / 255.0)).round()[:, :, None] / _SHADES
    ink = np.array([0.835, 0.369, 0.0])  # the vermilion of COLORS
    image = screen * (1 - strength) + ink * strength
    width = 0.9 * _ROW * image.shape[1] / image.shape[0] / _PARTS[-1]
    extent = (0.5 - width / 2, 0.5 + width / 2, row + 0.95, row + 0.05)
    axes.imshow(image, extent=extent, aspect="auto", interpolation="nearest")


def _label_axes(panels: list[Axes], frames: int, closeup: int) -> None:
    """Label the horizontal axes of a block's panels."""
    _, bars, overview, first, written = panels
    bars.set(xlim=(-2, 257), xticks=[0, 128, 255])
    overview.set(xlim=(0, closeup), xticks=[0, closeup], xticklabels=["0", f"{frames}"])
    first.set(xlim=(0, closeup), xticks=[0, closeup])
    for axes in panels:
        axes.tick_params(labelsize=6, length=2)
        if axes not in (panels[0], written):
            left, right = axes.get_xticklabels()[0], axes.get_xticklabels()[-1]
            left.set_horizontalalignment("left")
            right.set_horizontalalignment("right")
    panels[0].set_xlim(0, 1)
    written.set(xlim=(0, 1), ylim=panels[0].get_ylim())


def faded(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The first screen of the sheet in pale grey, at half its size.

    (H / 2, W / 2, 3) float from 0 to 1.
    """
    grey = arrays["palette"][arrays["sheet"][0]].mean(axis=2)
    height, width = arrays["pictures"].shape[1:]
    tiles = grey.reshape(height, grey.shape[0] // height, width, grey.shape[1] // width)
    halves = tiles.mean(axis=(1, 3))
    pale = 0.78 + 0.2 * (_SHADES * halves / 255).round()[:, :, None] / _SHADES
    return np.repeat(pale, 3, axis=2)
