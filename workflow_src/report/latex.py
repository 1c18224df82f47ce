"""Tables as LaTeX, which needs only the packages booktabs, graphicx and fontenc (T1)."""

import math
import textwrap
from typing import NamedTuple

# Points: the size of a table, without its caption, on an A4 page with margins of 2 cm; the width is
# less than there is, since those of columns are estimates.
_WIDTH, _HEIGHT = 460, 620
# Type sizes: command, points, points on either side of a column.
_SIZES = ((r"\small", 9, 6), (r"\footnotesize", 8, 4), (r"\scriptsize", 7, 3))
_LETTER = 0.55  # mean width, as a share of the type's points
_CAPITAL = 1.4  # letters
_SLANT = 55  # degrees, for heads that are wider than their columns

_ESCAPES = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "–": "--",
        "±": r"{\tiny$\pm$}",
        "−": "$-$",
    }
)


class Bold(str):
    """Plain text of a cell, set in bold."""


class Part(NamedTuple):
    """A block of rows as plain text: its title (can be empty), rows, and rows below a rule."""

    title: str
    body: list[list[str]]
    summary: list[list[str]]


def escape(text: str) -> str:
    """Plain text as LaTeX."""
    return text.translate(_ESCAPES)


def typeset(label: str, caption: str, header: list[str], parts: list[Part], left: int = 1) -> str:
    """Make a table of plain texts.

    Every row is as long as ``header``. The first ``left`` columns name the rows and are
    left-aligned, the others right-aligned. The table fits an A4 page with margins of 2 cm; it is
    never rotated or smaller than 7 points. A wide table is set smaller; one that is still too wide
    is cut into panels, one below the other, each with the first columns and a share of the others.
    Panels and blocks that do not fit a page continue in a float of the same number.
    """
    panels, (size, points, gap), slanted = _panels(header, _rows(parts), left)
    if slanted:
        high = math.sin(math.radians(_SLANT)) * _LETTER * max(map(_wide, header[left:])) / 1.2 + 1
    else:
        high = max(len(_lines(text, 0)) for text in header)
    floats: list[str] = []
    for shown in _floats(panels, parts, int(_HEIGHT / (1.2 * points)), math.ceil(high)):
        again = bool(floats)
        tabulars = [_tabular(header, some, panel, left, slanted) for panel, some in shown]
        floats += [
            r"\begin{table}[tbp]",
            *([r"\addtocounter{table}{-1}"] if again else []),
            r"\centering",
            r"\caption{Continued.}" if again else rf"\caption{{{escape(caption)}}}",
            *([] if again else [rf"\label{{tab:{label}}}"]),
            r"\smallskip",
            rf"{size}\setlength{{\tabcolsep}}{{{gap}pt}}",
            "\n\\par\\bigskip\n".join(tabulars),
            r"\end{table}",
        ]
    return "\n".join([*floats, ""])


def _rows(parts: list[Part]) -> list[list[str]]:
    """The rows of all parts."""
    rows = []
    for part in parts:
        rows += [*part.body, *part.summary]
    return rows


def _wide(text: str) -> float:
    """The width of a text, in letters."""
    return len(text) + (_CAPITAL - 1) * sum(map(str.isupper, text))


def _panels(
    header: list[str], rows: list[list[str]], left: int
) -> tuple[list[list[int]], tuple[str, float, float], bool]:
    """Divide the columns into as few panels as fit the width of a page, in the largest type.

    Returns the panels (the indices of their columns), the type of `_SIZES`, and whether heads are
    slanted, which they are only if the columns do not fit otherwise.
    """
    cells = [max(map(_wide, column)) for column in zip(*rows, strict=True)]
    heads = [max(map(_wide, _lines(*head))) for head in zip(header, map(int, cells), strict=True)]
    upright = [*map(max, cells, heads)]
    slanted = [max(cell, 3 * (number >= left)) for number, cell in enumerate(cells)]
    # The last slanted head reaches beyond its column.
    out = math.cos(math.radians(_SLANT)) * max(map(_wide, header[left:]), default=0)
    others = list(range(left, len(header)))
    for count in range(1, max(len(others), 1) + 1):
        each = max(math.ceil(len(others) / count), 1)
        panels = [
            [*range(left), *others[start : start + each]]
            for start in range(0, max(len(others), 1), each)
        ]
        for widths, more in ((upright, 0.0), (slanted, out)):
            widest = max((sum(widths[c] for c in panel) + more, len(panel)) for panel in panels)
            for size in _SIZES:
                _, points, gap = size
                if _LETTER * points * widest[0] + 2 * gap * widest[1] <= _WIDTH:
                    return panels, size, widths is slanted
    return panels, _SIZES[-1], True


def _floats(
    panels: list[list[int]], parts: list[Part], lines: int, head: int
) -> list[list[tuple[list[int], list[Part]]]]:
    """Distribute panels over pages of ``lines``; each has ``head`` lines and all ``parts``.

    They are cut between parts.
    """
    floats: list[list[tuple[list[int], list[Part]]]] = []
    used = 0
    for panel in panels:
        for part in parts:
            high = len(part.body) + len(part.summary) + 2  # its title and rules
            if not floats or used + high + head + 2 > lines:
                floats.append([])
                used = 0
            if not floats[-1] or floats[-1][-1][0] is not panel:
                floats[-1].append((panel, []))
                used += head + 2
            floats[-1][-1][1].append(part)
            used += high
    return floats


def _tabular(
    header: list[str], parts: list[Part], panel: list[int], left: int, slanted: bool
) -> str:
    """The columns ``panel`` of ``parts``."""
    rules = []
    for part in parts:
        title = rf"\multicolumn{{{len(panel)}}}{{l}}{{\emph{{{escape(part.title)}}}}} \\"
        lines = [title] if part.title else []
        lines += [_row(cells, panel) for cells in part.body]
        if part.summary:
            lines += [r"\midrule", *(_row(cells, panel) for cells in part.summary)]
        rules.append("\n".join(lines))
    cells = [max(map(len, column)) for column in zip(*_rows(parts), strict=True)]
    heads = [
        rf"\rlap{{\rotatebox{{{_SLANT}}}{{{escape(header[c])}}}}}"
        if slanted and c >= left
        else _head(header[c], cells[c])
        for c in panel
    ]
    return "\n".join(
        (
            rf"\begin{{tabular}}{{{'l' * left + 'r' * (len(panel) - left)}}}",
            r"\toprule",
            " & ".join(heads) + r" \\",
            r"\midrule",
            "\n\\midrule\n".join(rules),
            r"\bottomrule",
            r"\end{tabular}",
        )
    )


def _row(cells: list[str], columns: list[int]) -> str:
    shown = (
        rf"\textbf{{{escape(cells[c])}}}" if isinstance(cells[c], Bold) else escape(cells[c])
        for c in columns
    )
    return " & ".join(shown) + r" \\"


def _head(text: str, cell: int) -> str:
    """Stack the lines of a column's head."""
    lines = [escape(line) for line in _lines(text, cell)]
    return lines[0] if len(lines) == 1 else r"\shortstack[r]{" + r"\\".join(lines) + "}"


def _lines(text: str, cell: int) -> list[str]:
    """Break a head that is wider than its column's cells, at spaces, slashes and hyphens."""
    text = text.replace("/", "/ ")
    lines = textwrap.wrap(text, max(cell, 10), break_long_words=False)
    # The narrowest width with as many lines makes them even.
    widths = range(max(map(len, lines)))
    even = (textwrap.wrap(text, width + 1, break_long_words=False) for width in widths)
    return next(wrapped for wrapped in even if len(wrapped) == len(lines))
