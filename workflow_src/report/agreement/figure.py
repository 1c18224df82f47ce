"""Our F1 of each variable against the published one: a dot a variable, a panel a method."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.agreement.compared import NEAR, cells
from workflow_src.report.data import Data
from workflow_src.report.figures import style
from workflow_src.report.names import CATEGORY_NAMES, method_name

_ACROSS = 4  # panels
_SIDE = 1.7  # inches


def figure(config: Config, data: Data) -> Figure:
    """A panel for each method of each policy and protocol; the band is within 0.05."""
    found = cells(config, data)
    panels = [
        (
            block,
            method,
            found[(found[BLOCK] == list(block)).all(axis=1) & (found["method"] == method)],
        )
        for block in dict.fromkeys(map(tuple, found[BLOCK].to_numpy().tolist()))
        for method in config.methods
    ]
    panels = [one for one in panels if len(one[2])]
    several = len({block for block, _, _ in panels}) > 1
    across = max(2, min(_ACROSS, len(panels)))
    down = max(1, -(-len(panels) // across))
    with style.styled():
        drawn = Figure(figsize=(_SIDE * across, _SIDE * down + 0.7), layout="constrained")
        grid = drawn.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (block, method, part) in zip(grid, panels, strict=False):
            near = (part["difference"].abs() <= NEAR + 1e-9).mean()
            title = f"{method_name(method)}, {near:.0%}"
            axes.set_title(f"{title}\n{', '.join(block)}" if several else title, fontsize=6)
            _draw(axes, part)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        drawn.supxlabel("F1, published", fontsize=7)
        drawn.supylabel("F1, ours", fontsize=7)
        handles = {
            label: handle
            for axes in grid
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        drawn.legend(
            list(handles.values()),
            list(handles),
            loc="outside upper center",
            ncols=3,
            frameon=False,
            fontsize=6,
        )
    return drawn


def _draw(axes, part: pd.DataFrame) -> None:
    ends = np.array([0.0, 1.0])
    axes.fill_between(ends, ends - NEAR, ends + NEAR, color=style.MISSING, linewidth=0)
    for number, (category, name) in enumerate(CATEGORY_NAMES.items()):
        dots = part[part["category"] == category]
        if len(dots):
            axes.plot(
                dots["published"],
                dots["ours"],
                linestyle="none",
                markersize=2.2,
                markeredgewidth=0,
                label=name,
                **style.series(number),
            )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)
