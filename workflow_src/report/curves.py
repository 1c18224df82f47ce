"""How encoders learned: train and validation loss against the epoch, from the histories of their trainings."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from workflow_src.config.run import Config
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report import style
from workflow_src.report.aggregate import blocks
from workflow_src.report.names import method_name
from workflow_src.report.scores import read_csv

CURVES = "learning_curves"
LOSSES = {"train_loss": "train", "val_loss": "validation"}

_ACROSS = 4  # panels
_PANEL = 1.45  # inches
_LOG_FROM = 10  # the ratio of the largest to the least loss from which on the axis is logarithmic


def write_learning_curves(config: Config, histories: list[Path], out: Path) -> None:
    """Write the figure as PDF and PNG, whose endings ``out`` lacks.

    A history is a CSV named .../{policy}/{protocol}/{method}/{game}-s{seed}.csv with the columns
    epoch, train_loss and val_loss; one without rows is of an encoder that does not learn, and is
    left out.
    """
    style.save(
        learning_curves(config, [(path.parts[-4:-1], read_history(path)) for path in histories]),
        out,
    )


def read_history(path: Path) -> pd.DataFrame:
    """Read one training's history, a row an epoch; `DamagedFile` when it has rows but lacks a loss."""
    history = read_csv(path, text=[], numbers=["epoch"])
    lacking = set(LOSSES) - set(history.columns)
    if len(history) and lacking:
        raise DamagedFile(
            f"{path} is damaged (it lacks the column {min(lacking)}): delete it and make it again"
        )
    return history


def learning_curves(
    config: Config, histories: list[tuple[tuple[str, ...], pd.DataFrame]]
) -> Figure:
    """Loss against epoch, a panel for each (policy, protocol, method) that learns, two lines for each game and seed.

    ``histories`` are ((policy, protocol, method), history). Epoch 0 is the untrained model.
    """
    # A method's protocols are side by side.
    order = [
        (policy, protocol, method)
        for method in config.methods
        for policy, protocol in blocks(config)
    ]
    found: dict[tuple[str, ...], list[pd.DataFrame]] = {name: [] for name in order}
    for name, history in histories:
        if name not in found:
            raise UserError(
                f"a history is of {'/'.join(name)}, which the configuration does not name"
            )
        if len(history):
            found[name].append(history)
    learned = {name: lines for name, lines in found.items() if lines}
    several = [len(config.policies) > 1, len(config.protocols) > 1, True]
    across = min(max(len(learned), 1), _ACROSS)
    down = -(-len(learned) // across) or 1
    with style.styled():
        figure = Figure(
            figsize=(
                max(style.COLUMN_WIDTH, 2 * style.COLUMN_WIDTH * across / _ACROSS),
                _PANEL * down + 0.5,
            ),
            layout="constrained",
        )
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes, (name, lines) in zip(grid, learned.items(), strict=False):
            shown = [
                part
                for part, wanted in zip((*name[:2], method_name(name[2])), several, strict=True)
                if wanted
            ]
            axes.set_title("\n".join([shown[-1], ", ".join(shown[:-1])]).rstrip(), fontsize=7)
            _draw_losses(axes, lines)
        for axes in grid[len(learned) :]:
            axes.set_axis_off()
        figure.supxlabel("Epoch" if learned else "No method of this run learns", fontsize=7)
        if learned:
            figure.supylabel("Loss", fontsize=7)
            legend = figure.legend(
                *grid[0].get_legend_handles_labels(),
                loc="outside upper center",
                ncols=len(LOSSES),
                frameon=False,
            )
            legend.set_in_layout(True)
            for line in legend.get_lines():
                line.set(alpha=1, linewidth=1.2)
    return figure


def _draw_losses(axes: Axes, lines: list[pd.DataFrame]) -> None:
    """Draw the two losses of every history, validation on top."""
    for number, (column, label) in enumerate(LOSSES.items()):
        for history in lines:
            # Thin and see-through, because as many as a run has games lie upon one another.
            axes.plot(
                history["epoch"],
                history[column],
                color=style.SERIES[number],
                linewidth=0.6,
                alpha=0.6,
            )
        axes.lines[-1].set_label(label)
    losses = np.concatenate([history[list(LOSSES)].to_numpy().ravel() for history in lines])
    if losses.min() > 0 and losses.max() > _LOG_FROM * losses.min():
        axes.set_yscale("log")
        # Two labels in a decade where it is the only one.
        axes.yaxis.set_major_locator(
            LogLocator(subs=(1, 3) if losses.max() < 100 * losses.min() else (1,))
        )
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)
