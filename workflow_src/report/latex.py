"""Tables as LaTeX that needs the packages booktabs and fontenc (T1), and no others."""

import math
import textwrap
from typing import NamedTuple

# Points: what a table can take of an A4 page with margins of 2 cm, its caption apart.
_WIDTH, _HEIGHT = 480, 620
# Command, points of the type, points on either side of a column.
_SIZES = ((r"\small", 9, 6), (r"\footnotesize", 8, 4), (r"\scriptsize", 7, 3))

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


class Part(NamedTuple):
    """A block of rows as plain text: its title or nothing, the rows, and the rows below a rule."""

    title: str
    body: list[list[str]]
    summary: list[list[str]]


def escape(text: str) -> str:
    """Plain text as LaTeX."""
    return text.translate(_ESCAPES)


def table(label: str, caption: str, header: list[str], parts: list[Part], left: int = 1) -> str:
    """Make a table of plain texts; the first ``left`` columns name the rows and are left-aligned, the others right-aligned.

    Every row is as long as ``header``. It fits an A4 page with margins of 2 cm and is never turned or shrunk below 7 points:
    a wide table is set smaller, and one that is too wide still is cut into panels below one another, each with the first
    columns and a share of the others. Panels and blocks that do not fit a page go on in a float of the same number.
    """
    panels, (size, points, gap) = _panels(header, [row for part in parts for row in (*part.body, *part.summary)], left)
    floats = []
    for shown in _floats(panels, parts, int(_HEIGHT / (1.2 * points))):
        again = bool(floats)
        tabulars = [_tabular([header[c] for c in panel], [_cut(part, panel) for part in some], left) for panel, some in shown]
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


def _panels(header: list[str], rows: list[list[str]], left: int) -> tuple[list[list[int]], tuple[str, float, float]]:
    """Share the columns out among as few panels as fit a page's width, and choose the largest type in which they do.

    A panel is the numbers of its columns; a type its command, its points, and the points beside a column.
    """
    cells = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths = [max(cell, *map(len, _lines(text, cell))) for text, cell in zip(header, cells, strict=True)]
    others = list(range(left, len(header)))
    for count in range(1, len(others) + 1):
        each = math.ceil(len(others) / count)
        panels = [[*range(left), *others[start : start + each]] for start in range(0, len(others), each)]
        widest = max(((sum(widths[c] for c in panel), len(panel)) for panel in panels), default=(0, 0))
        for size in _SIZES:
            _, points, gap = size
            if 0.55 * points * widest[0] + 2 * gap * widest[1] <= _WIDTH:
                return panels, size
    return panels, _SIZES[-1]


def _floats(panels: list[list[int]], parts: list[Part], lines: int) -> list[list[tuple[list[int], list[Part]]]]:
    """Stack panels, each with all ``parts``, on pages of so many lines; a panel may be cut between parts."""
    floats: list[list[tuple[list[int], list[Part]]]] = []
    used = 0
    for panel in panels:
        for part in parts:
            high = len(part.body) + len(part.summary) + 2  # its title and rules
            if not floats or used + high + 3 > lines:
                floats.append([])
                used = 0
            if not floats[-1] or floats[-1][-1][0] is not panel:
                floats[-1].append((panel, []))
                used += 3  # the header
            floats[-1][-1][1].append(part)
            used += high
    return floats


def _cut(part: Part, columns: list[int]) -> Part:
    """Keep these columns of a part."""
    return Part(part.title, *([[row[c] for c in columns] for row in rows] for rows in (part.body, part.summary)))


def _tabular(header: list[str], parts: list[Part], left: int) -> str:
    rules = []
    for part in parts:
        lines = [rf"\multicolumn{{{len(header)}}}{{l}}{{\emph{{{escape(part.title)}}}}} \\"] if part.title else []
        lines += [_row(cells) for cells in part.body]
        if part.summary:
            lines += [r"\midrule", *(_row(cells) for cells in part.summary)]
        rules.append("\n".join(lines))
    cells = [max(map(len, column)) for column in zip(*(row for p in parts for row in (*p.body, *p.summary)), strict=True)]
    columns = "l" * left + "r" * (len(header) - left)
    return "\n".join(
        (
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(_head(text, cell) for text, cell in zip(header, cells, strict=True)) + r" \\",
            r"\midrule",
            "\n\\midrule\n".join(rules),
            r"\bottomrule",
            r"\end{tabular}",
        )
    )


def _row(cells: list[str]) -> str:
    return " & ".join(escape(cell) for cell in cells) + r" \\"


def _head(text: str, cell: int) -> str:
    """Stack the lines of a column's head."""
    lines = [escape(line) for line in _lines(text, cell)]
    return lines[0] if len(lines) == 1 else r"\shortstack[r]{" + r"\\".join(lines) + "}"


def _lines(text: str, cell: int) -> list[str]:
    """Break a head at spaces, slashes and hyphens when it is wider than its column's cells and than most names."""
    text = text.replace("/", "/ ")
    lines = textwrap.wrap(text, max(cell, 10), break_long_words=False)
    # As even as so many lines can be.
    widths = range(max(map(len, lines)))
    even = (textwrap.wrap(text, width + 1, break_long_words=False) for width in widths)
    return next(wrapped for wrapped in even if len(wrapped) == len(lines))
