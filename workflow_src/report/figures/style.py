"""One style for all figures, and the only place that saves them.

Text is 6 to 8 points in print, viridis reads the same with every kind of colour vision, and files
hold no date and no software version: the same figure gives the same bytes.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from workflow_src import artifacts

COLUMN_WIDTH = 3.4  # inches
COLORS = "viridis"
MISSING = "#e4e4e4"  # a grey that is in neither COLORS nor the page
# Okabe and Ito's colours, distinct with every kind of colour vision, without yellow, which is too
# pale on white.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PROGRAM = "workflow_src"

_STYLE: Any = {
    "font.family": "DejaVu Sans",  # part of matplotlib: the same on every machine
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
    "pdf.fonttype": 42,  # keep text as text
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
    """Colour and marker of the series number ``index``; a colour returns with another marker."""
    turn, color = divmod(index, len(SERIES))
    return {"color": SERIES[color], "marker": MARKERS[(color + turn) % len(MARKERS)]}


def png(figure: Figure, dpi: int = 300) -> bytes:
    """``figure`` as a PNG; the same figure gives the same bytes."""
    out = io.BytesIO()
    with styled():
        figure.savefig(out, format="png", metadata={"Software": None}, dpi=dpi)
    return out.getvalue()


def save(figure: Figure, path: Path, dpi: int | None = None) -> None:
    """Write ``figure`` as PDF and PNG; ``path`` has no extension.

    ``dpi`` is the PNG's, by default 300. The same figure gives the same bytes.
    """
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Creator": PROGRAM, "Producer": PROGRAM},
        "png": {"Software": None},
    }
    for kind, about in metadata.items():
        # In memory first: Matplotlib fails in ways of its own where a disk is full.
        drawn = io.BytesIO()
        with styled():
            figure.savefig(drawn, format=kind, metadata=about, dpi=dpi)
        with artifacts.atomic(path.with_name(f"{path.name}.{kind}")) as temporary:
            temporary.write_bytes(drawn.getvalue())
