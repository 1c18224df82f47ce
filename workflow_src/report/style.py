"""One look for all figures, and the only place that saves them.

Type is 6 to 8 points at the size a figure is printed, viridis reads alike with every kind of colour
vision, and a file has no date and no version of the software in it: the same figure gives the same
bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from workflow_src import artifacts

COLUMN_WIDTH = 3.4  # inches
COLORS = "viridis"
MISSING = "#e4e4e4"  # neither a colour of COLORS nor the page
# Okabe and Ito's colours, which differ with every kind of colour vision, without the yellow that is
# pale on white.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PROGRAM = "workflow_src"

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.labelsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # letters stay text
    "svg.hashsalt": PROGRAM,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save in this style, whatever the user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def series(index: int) -> dict[str, Any]:
    """Colour and marker of the series number ``index``; the same colour comes back with another marker."""
    turn, place = divmod(index, len(SERIES))
    return {"color": SERIES[place], "marker": MARKERS[(place + turn) % len(MARKERS)]}


def save(figure: Figure, path: Path, dpi: int | None = None) -> None:
    """Write ``figure`` as PDF and PNG, whose endings ``path`` lacks; the same figure gives the same bytes.

    ``dpi`` is the PNG's, by default 300.
    """
    metadata = {
        "pdf": {"CreationDate": None, "Creator": PROGRAM, "Producer": PROGRAM},
        "png": {"Software": None},
    }
    for kind, about in metadata.items():
        with styled(), artifacts.atomic(path.with_name(f"{path.name}.{kind}")) as temporary:
            figure.savefig(temporary, format=kind, metadata=about, dpi=dpi)
