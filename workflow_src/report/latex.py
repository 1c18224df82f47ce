"""Tables as LaTeX that needs the packages booktabs and fontenc (T1), and no others."""

from typing import NamedTuple

_ESCAPES = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "±": r"{\tiny$\pm$}"}
)


class Part(NamedTuple):
    """A block of rows as plain text: its title or nothing, the rows, and the rows below a rule."""

    title: str
    body: list[list[str]]
    summary: list[list[str]]


def escape(text: str) -> str:
    """Plain text as LaTeX."""
    return text.translate(_ESCAPES)


def table(label: str, caption: str, header: list[str], parts: list[Part]) -> str:
    """Make a floating table of plain texts; the first column is left-aligned, the others right-aligned.

    Every row is as long as ``header``. Headers of several words are stacked; a wide table is set smaller.
    """
    rules = []
    for part in parts:
        lines = [rf"\multicolumn{{{len(header)}}}{{l}}{{\emph{{{escape(part.title)}}}}} \\"] if part.title else []
        lines += [_row(cells) for cells in part.body]
        if part.summary:
            lines += [r"\midrule", *(_row(cells) for cells in part.summary)]
        rules.append("\n".join(lines))
    columns = f"l{'r' * (len(header) - 1)}"
    return "\n".join(
        (
            r"\begin{table}[tbp]",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{tab:{label}}}",
            r"\smallskip",
            _size(header, [row for part in parts for row in (*part.body, *part.summary)]),
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(_head(text) for text in header) + r" \\",
            r"\midrule",
            "\n\\midrule\n".join(rules),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        )
    )


def _size(header: list[str], rows: list[list[str]]) -> str:
    """Choose the largest type with which the table is within 17 cm (A4 with margins of 2 cm), or else the least."""
    heads = [max(map(len, _words(text))) for text in header]
    letters = sum(max(lengths) for lengths in zip(heads, *(map(len, row) for row in rows), strict=True))
    for size, points, gap in ((r"\small", 9, 6), (r"\footnotesize", 8, 4)):
        if 0.55 * points * letters + 2 * gap * len(header) <= 480:
            return rf"{size}\setlength{{\tabcolsep}}{{{gap}pt}}"
    return r"\scriptsize\setlength{\tabcolsep}{2pt}"


def _row(cells: list[str]) -> str:
    return " & ".join(escape(cell) for cell in cells) + r" \\"


def _head(text: str) -> str:
    """Stack the words of a column's head."""
    words = [escape(word) for word in _words(text)]
    return words[0] if len(words) == 1 else r"\shortstack[r]{" + r"\\".join(words) + "}"


def _words(text: str) -> list[str]:
    return text.replace("/", "/ ").split()
