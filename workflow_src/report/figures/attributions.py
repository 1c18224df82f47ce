"""Where an encoder reads each variable: frames in grays, in red the pixels that its probe uses."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from workflow_src import artifacts
from workflow_src.report.figures import style
from workflow_src.report.names import method_name

KIND = "attribution"
_WIDE, _HIGH = 0.8, 0.8 * 210 / 160 + 0.16  # inches of a frame, and of a row with its labels


def write_attributions(path: Path, out: Path) -> None:
    """Draw a file of `probes.attribution` as PDF and PNG; ``out`` has no extension."""
    arrays, header = artifacts.read_arrays(path, KIND)
    style.save(figure(arrays, header), out)


def figure(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Figure:
    """A row for each variable, a column for each frame; two blocks of rows where there are many."""
    names = header["variables"]
    count = arrays["frames"].shape[0]
    blocks = 1 if len(names) <= 8 else 2
    rows = -(-len(names) // blocks)
    with style.styled():
        drawn = Figure(
            figsize=(blocks * (count * _WIDE + 0.9), rows * _HIGH + 0.3), layout="constrained"
        )
        drawn.suptitle(
            f"{method_name(header['method'])} on {header['game']}: where it reads each variable",
            fontsize=8,
        )
        grid = drawn.subplots(rows, blocks * count, squeeze=False)
        for axes in grid.ravel():
            axes.set_axis_off()
        for number, name in enumerate(names):
            block, row = divmod(number, rows)
            for column in range(count):
                axes = grid[row, block * count + column]
                axes.imshow(colored(arrays["frames"][column], arrays["saliency"][number, column]))
                true, said = (arrays[key][number, column] for key in ("labels", "predicted"))
                axes.set_title(f"{true}" if true == said else f"{true}, read as {said}", fontsize=5)
                if column == 0:
                    axes.text(
                        -0.08,
                        0.5,
                        name,
                        transform=axes.transAxes,
                        ha="right",
                        va="center",
                        fontsize=5,
                    )
    return drawn


def colored(frame: np.ndarray, salient: np.ndarray) -> np.ndarray:
    """A gray frame (H, W) with red where ``salient`` (H, W) is high: float (H, W, 3)."""
    red = salient[..., None] / 255
    return frame[..., None] / 255 * (1 - red) + red * np.array([1.0, 0.0, 0.0])
