"""Training and validation loss by epoch, from the histories of the trainings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from workflow_src.config.run import Config
from workflow_src.csv_files import read_csv
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.aggregate import blocks
from workflow_src.report.figures import style
from workflow_src.report.names import method_name

CURVES = "learning_curves"
LOSSES = {"train_loss": "train", "val_loss": "validation"}

_ACROSS = 4  # panels
_PANEL = 1.45  # inches
_LOG_FROM = 10  # the ratio of the largest to the smallest loss from which the axis is logarithmic


def write_learning_curves(config: Config, histories: list[Path], out: Path) -> None:
    """Write the figure as PDF and PNG; ``out`` has no extension.

    A history is a CSV named .../{policy}/{protocol}/{method}/{game}-s{seed}.csv with the columns
    epoch, train_loss and val_loss; one without rows belongs to an encoder that does not learn, and
    is left out. `UserError` or `DamagedFile` for one that is missing, damaged or of another run.
    """
    read = [(path.parts[-4:-1], read_history(path)) for path in histories]
    style.save(learning_curves(config, read), out)


def read_history(path: Path) -> pd.DataFrame:
    """Read a training's history, a row for each epoch; `DamagedFile` if it misses a loss."""
    history = read_csv(path, text=[], numbers=["epoch"])
    missing = set(LOSSES) - set(history.columns)
    if len(history) and missing:
        raise DamagedFile(
            f"{path} is damaged (the column {min(missing)} is missing): delete it and make it again"
        )
    return history


def learning_curves(
    config: Config, histories: Sequence[tuple[tuple[str, ...], pd.DataFrame]]
) -> Figure:
    """A panel for each (policy, protocol, method) that learns, two lines for each game and seed.

    ``histories`` are ((policy, protocol, method), history). Epoch 0 is the untrained model.
    """
    learned = _by_panel(config, histories)
    across = min(max(len(learned), 1), _ACROSS)
    down = -(-len(learned) // across) or 1
    width = max(style.COLUMN_WIDTH, 2 * style.COLUMN_WIDTH * across / _ACROSS)
    with style.styled():
        figure = Figure(figsize=(width, _PANEL * down + 0.5), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes, (names, lines) in zip(grid, learned.items(), strict=False):
            axes.set_title(_title(config, *names), fontsize=7)
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


def _by_panel(
    config: Config, histories: Sequence[tuple[tuple[str, ...], pd.DataFrame]]
) -> dict[tuple[str, ...], list[pd.DataFrame]]:
    """The histories with rows, by (policy, protocol, method); the protocols of a method adjoin."""
    found: dict[tuple[str, ...], list[pd.DataFrame]] = {}
    for method in config.methods:
        for policy, protocol in blocks(config):
            found[policy, protocol, method] = []
    for names, history in histories:
        if names not in found:
            raise UserError(
                f"the history of {'/'.join(names)} does not belong to this run: "
                "leave it out, or add its names to the configuration"
            )
        if len(history):
            found[names].append(history)
    return {names: lines for names, lines in found.items() if lines}


def _title(config: Config, policy: str, protocol: str, method: str) -> str:
    """A panel's title: the method and, where the run has several, its policy and protocol."""
    below = [policy] if len(config.policies) > 1 else []
    below += [protocol] if len(config.protocols) > 1 else []
    return "\n".join([method_name(method), ", ".join(below)]).rstrip()


def _draw_losses(axes: Axes, lines: list[pd.DataFrame]) -> None:
    """Draw the two losses of every history, validation on top."""
    for number, (column, label) in enumerate(LOSSES.items()):
        for history in lines:
            # Thin and translucent: the lines of all games and seeds overlap.
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
        # Two labels in each decade if there are less than two decades.
        subs = (1, 3) if losses.max() < 100 * losses.min() else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)
