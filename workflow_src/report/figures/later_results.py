"""Mean F1 against the number of features: published ones and this run's."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report.data import Data
from workflow_src.report.figures import style
from workflow_src.report.names import method_name
from workflow_src.report.tables.later_results import MASKED, table

# Of names: height in F1; width of a letter and distance from the point, as powers of 2.
_HEIGHT, _LETTER, _ASIDE = 0.03, 0.105, 0.3


def figure(config: Config, data: Data) -> Figure:
    """A point for each mean, a marker for each source with its label set and number of games."""
    rows = table(config, data).dropna(subset=["f1", "features"])
    rows = rows[rows["note"] != MASKED]
    rows = rows.assign(features=rows["features"].astype(float))
    with style.styled():
        figure = Figure(figsize=(2 * style.COLUMN_WIDTH, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        groups = rows.groupby(["source", "label_set", "games"], sort=False)
        shown = []
        for number, ((source, labels, games), group) in enumerate(groups):
            ours = pd.isna(group["year"]).all()
            name = str(source) if ours else str(source).split(",")[0]
            look = style.series(number)
            label = f"{name}: {labels}, {games} games"
            axes.plot(group["features"], group["f1"], label=label, linestyle="none", **look)
            shown += [
                (
                    np.log2(row["features"]),
                    row["f1"],
                    method_name(row["method"]),
                    ours,
                    look["color"],
                )
                for _, row in group.iterrows()
            ]
        _name(axes, shown)
        sizes = sorted({*rows["features"]})
        axes.set_xlim(min(sizes) / 12, max(sizes) * 6)
        axes.set_ylim(0, 1)
        axes.set(xlabel="features", ylabel="F1, mean over games")
        ticks = [256 * 4**n for n in range(4)]
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        axes.minorticks_off()
        axes.grid(axis="y", color=style.MISSING, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _name(axes: Axes, shown: list[tuple[float, float, str, bool, str]]) -> None:
    """The methods beside their points, ours on the left: no name on another.

    ``shown``: power of 2 and F1 of a point, its method, whether it is ours, its colour.
    """
    # Left, right, height; also of the points.
    taken = [(x - _ASIDE / 2, x + _ASIDE / 2, y) for x, y, *_ in shown]
    for x, y, method, ours, color in sorted(shown):
        width = _LETTER * len(method)
        left = x - _ASIDE - width if ours else x + _ASIDE
        place = y
        steps = (sign * n for n in range(40) for sign in (1, -1))
        for step in steps:
            place = y + step * _HEIGHT / 2
            if not any(
                a < left + width and left < b and abs(h - place) < _HEIGHT for a, b, h in taken
            ):
                break
        taken.append((left, left + width, place))
        axes.annotate(
            method,
            (2**x, y),
            (2 ** (x - _ASIDE if ours else x + _ASIDE), place),
            ha="right" if ours else "left",
            va="center",
            fontsize=6,
            color=color,
            arrowprops={"arrowstyle": "-", "color": style.MISSING, "linewidth": 0.5},
        )
