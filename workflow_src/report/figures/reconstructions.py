"""The output of decoders below its target, of one game."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure

from workflow_src import artifacts
from workflow_src.errors import UserError
from workflow_src.report.figures import style
from workflow_src.report.names import method_name

EXAMPLES = 6  # columns
ROWS = ("target", "output")


def write_reconstructions(examples: list[Path], out: Path) -> None:
    """Write one game's figure as PDF and PNG; ``out`` has no extension.

    Each of ``examples`` is one method's file of kind "examples": ``input``, ``target``, ``output``
    of shape (n, 210, 160), uint8, with game, method and protocol in its header. `UserError` if
    there is none, or if they belong to several games.
    """
    if not examples:
        raise UserError(
            f"cannot draw {out}: no examples were named; name the file of at least one method"
        )
    found = [artifacts.read_arrays(path, "examples") for path in examples]
    games = sorted({header["game"] for _, header in found})
    if len(games) > 1:
        raise UserError(
            f"the examples belong to several games ({', '.join(games)}): name those of one game"
        )
    style.save(reconstructions(found), out)


def reconstructions(found: list[tuple[dict[str, np.ndarray], dict[str, Any]]]) -> Figure:
    """Targets above outputs, in grey from 0 to 255.

    A pair of rows for each method, a column for each example.
    """
    columns = min(EXAMPLES, *(len(arrays["target"]) for arrays, _ in found))
    width = 1.4 * style.COLUMN_WIDTH
    # A frame is 210 high and 160 wide; its row's label takes 0.25 inches.
    high = len(ROWS) * (width - 0.25) / EXAMPLES * 210 / 160 + 0.25
    several = len({header["protocol"] for _, header in found}) > 1
    with style.styled():
        figure = Figure(figsize=(width, high * len(found) + 0.25), layout="constrained")
        figure.suptitle(found[0][1]["game"], fontsize=8)
        parts = figure.subfigures(len(found), 1, squeeze=False)[:, 0]
        for part, (arrays, header) in zip(parts, found, strict=True):
            title = method_name(header["method"]) + (f", {header['protocol']}" if several else "")
            part.suptitle(title, fontsize=7)
            _draw_frames(part, arrays, columns)
    return figure


def _draw_frames(figure: SubFigure, arrays: dict[str, np.ndarray], columns: int) -> None:
    """Draw a row of frames for each of `ROWS`."""
    grid = figure.subplots(len(ROWS), columns, squeeze=False)
    for axes, name in zip(grid[:, 0], ROWS, strict=True):
        axes.set_ylabel(name)
    for (row, column), axes in np.ndenumerate(grid):
        axes.imshow(arrays[ROWS[row]][column], cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
