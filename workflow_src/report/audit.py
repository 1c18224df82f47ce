"""The label audit: what the annotated bytes of a game turned out to be, as tables and as a picture.

A picture has a row for each variable: its verdict and numbers, how often it had each value, its
course over all frames and over the first ones, and where the screen changes when it is written.
Measured by `audit.measure`, judged by `audit.verdict`.
"""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_src import artifacts
from workflow_src.ari.labels import categories, variables
from workflow_src.audit import measured as measurements
from workflow_src.audit.measured import of_byte
from workflow_src.audit.verdict import ALIVE, CONSTANT, SUSPICIOUS, VERDICTS, Byte, verdict
from workflow_src.report import style

COLORS = {ALIVE: "#0072B2", SUSPICIOUS: "#D55E00", CONSTANT: "#7F7F7F"}
DPI = {1: 140, 2: 110}  # by blocks

# Columns of the table that stand in the measurements under the same name.
MEASURED = (
    "entropy",
    "changes",
    "pixels",
    "pixels_most",
    "grey",
    "overwritten",
    "moves_x",
    "moves_y",
    "readable",
    "knows_lives",
    "lives_know",
    "at_lives",
    "with_lives",
    "with_rewards",
)

# Inches: a row, the parts of a block of rows, what lies between parts, and what stands above and
# below.
_ROW, _PARTS, _GAP, _ABOVE, _BELOW = 0.68, (2.55, 1.1, 1.1, 1.1, 0.52), 0.09, 0.62, 0.32
_HEADS = ("", "how often each value", "over all frames", "the first {closeup} frames", "changed")
# Rows of one block: more are shown in two.
_ROWS = 16
# Letters of a reason's line, and its lines.
_LETTERS, _LINES = 55, 2
_SHADES = 6


def write_audit(measured: Path, label_set: str, out: Path) -> None:
    """Write one game's table as CSV and its picture as PDF and PNG, whose endings ``out`` lacks.

    `UserError` or `DamagedFile` when ``measured`` is missing, damaged, or of a game that
    ``label_set`` does not have.
    """
    arrays, header = measurements.read(measured)
    table = audit(arrays, label_set, header["game"])
    artifacts.write_text(
        out.with_name(f"{out.name}.csv"), table.round(6).to_csv(index=False, lineterminator="\n")
    )
    style.save(picture(arrays, table, label_set, header), out, DPI[_blocks(table)])


def audit(arrays: dict[str, np.ndarray], label_set: str, game: str) -> pd.DataFrame:
    """The table of a game: a row for each variable of ``label_set``, in its order; columns as in `docs/audit.md`."""
    rows = []
    for name, index in variables(label_set, game).items():
        one = of_byte(arrays, index)
        values = np.flatnonzero(one["counts"])
        judged, reason = verdict(name, Byte(**{field: one[field] for field in Byte._fields}))
        rows.append(
            {
                "variable": name,
                "ram_index": index,
                "categories": " ".join(categories(name)),
                "values": len(values),
                "least": values[0],
                "most": values[-1],
                **{column: one[column] for column in MEASURED},
                "verdict": judged,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)


# The picture.


def picture(
    arrays: dict[str, np.ndarray], table: pd.DataFrame, label_set: str, header: dict[str, Any]
) -> Figure:
    """A row for each variable, in one block or two beside each other."""
    blocks = _blocks(table)
    high = -(-len(table) // blocks)
    wide = sum(_PARTS) + _GAP * (len(_PARTS) + 1)
    size = (wide * blocks, _ROW * high + _ABOVE + _BELOW)
    screen = faded(arrays)
    with style.styled():
        figure = Figure(figsize=size)
        counts = table["verdict"].value_counts()
        told = ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)
        figure.text(
            0.08 / size[0],
            1 - 0.16 / size[1],
            f"{header['game']}, {label_set}: {told}",
            va="center",
            fontsize=9,
        )
        for block in range(blocks):
            part = table.iloc[block * high : (block + 1) * high]
            left = block * wide + _GAP
            panels = []
            for width, head in zip(_PARTS, _HEADS, strict=True):
                box = (left / size[0], _BELOW / size[1], width / size[0], _ROW * high / size[1])
                panels.append(
                    _panel(figure, box, high, head.format(closeup=arrays["closeup"].shape[1]))
                )
                left += width + _GAP
            for row, one in enumerate(part.itertuples()):
                _draw_row(panels, row, one, of_byte(arrays, one.ram_index), screen)
            _label_axes(panels, header["frames"], arrays["closeup"].shape[1])
    return figure


def _blocks(table: pd.DataFrame) -> int:
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
    """Draw a variable, ``one`` row of the table, with what was ``found`` of its byte, into the panels of its block."""
    text, bars, overview, closeup, written = panels
    color = COLORS[one.verdict]
    for axes in panels:
        axes.axhline(row, color=style.MISSING, linewidth=0.5, zorder=0)
    text.text(0, row + 0.18, one.variable, fontsize=8, fontweight="bold", va="center")
    values = (
        f"{one.values} values, {one.least} to {one.most}"
        if one.values > 1
        else f"1 value, {one.least}"
    )
    read = "" if np.isnan(one.readable) else f"; read with R² {one.readable:.2f}"
    text.text(
        0,
        row + 0.37,
        f"RAM {one.ram_index}: {values}; {one.entropy:.2f} nats",
        fontsize=6,
        va="center",
    )
    text.text(
        0,
        row + 0.52,
        f"written: {one.pixels:.2%} of the screen changes{read}",
        fontsize=6,
        va="center",
    )
    lines = textwrap.wrap(f"{one.verdict}: {one.reason}" if one.reason else one.verdict, _LETTERS)
    shown = "\n".join(
        [
            *lines[: _LINES - 1],
            textwrap.shorten(" ".join(lines[_LINES - 1 :]), _LETTERS, placeholder=" ..."),
        ]
    )
    text.text(0, row + 0.61, shown.strip(), fontsize=6, va="top", color=color, linespacing=1.1)
    # Rare values are seen too: heights are square roots.
    heights = 0.8 * np.sqrt(found["counts"] / found["counts"].max())
    bars.fill_between(
        np.arange(len(heights)),
        row + 0.92,
        row + 0.92 - heights,
        step="mid",
        color=color,
        linewidth=0.4,
    )
    spread = max(one.most - one.least, 1)
    course = {overview: "overview", closeup: "closeup"}
    for axes, name in course.items():
        values = found[name].astype(float)
        y = (
            row
            + 0.9
            - 0.8 * ((values - one.least) / spread if one.values > 1 else np.full_like(values, 0.5))
        )
        points = {
            "marker": ".",
            "markersize": 1.6,
            "linestyle": "none",
            "markeredgewidth": 0,
            "antialiased": False,
        }
        axes.plot(
            np.arange(len(y)),
            y,
            color=color,
            **(points if axes is overview else {"linewidth": 0.6}),
        )
    # Few shades, for small files.
    strength = (_SHADES * np.sqrt(found["pictures"] / 255.0)).round()[:, :, None] / _SHADES
    ink = np.array([0.835, 0.369, 0.0])  # the vermilion of COLORS
    image = screen * (1 - strength) + ink * strength
    width = 0.9 * _ROW * image.shape[1] / image.shape[0] / _PARTS[-1]
    written.imshow(
        image,
        extent=(0.5 - width / 2, 0.5 + width / 2, row + 0.95, row + 0.05),
        aspect="auto",
        interpolation="nearest",
    )


def _label_axes(panels: list[Axes], frames: int, closeup: int) -> None:
    """Say below the panels of a block what their breadth is."""
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
    """The first screen of the sheet in pale grey, half as high and wide as it: (H / 2, W / 2, 3) float in 0..1."""
    grey = arrays["palette"][arrays["sheet"][0]].mean(axis=2)
    height, width = arrays["pictures"].shape[1:]
    halves = grey.reshape(height, grey.shape[0] // height, width, grey.shape[1] // width).mean(
        axis=(1, 3)
    )
    return np.repeat(0.78 + 0.2 * (_SHADES * halves / 255).round()[:, :, None] / _SHADES, 3, axis=2)
