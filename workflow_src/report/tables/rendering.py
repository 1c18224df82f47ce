"""Values of tables as texts, and their rows in blocks, ready for `latex`."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import latex
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.names import DASH
from workflow_src.report.tables.captions import PAPER, TIE, learns_labels
from workflow_src.report.tables.columns import DIFFERENCE, PUBLISHED, STD, method_columns

PUBLISHED_IN = f"Published ({PAPER})"


def score_text(value: float, spread: float = float("nan")) -> str:
    """A value as text, with its spread unless that is NaN; a dash for NaN."""
    shown = DASH if pd.isna(value) else f"{value:.2f}"
    return shown if pd.isna(spread) else f"{shown}±{spread:.2f}"


def score_texts(values: pd.Series) -> list[str]:
    """Each value of a column as text."""
    return [score_text(value) for value in values]


def blocks(table: pd.DataFrame, shown: pd.DataFrame, summary: int = 0) -> list[latex.Part]:
    """Cut ``shown``, the texts of ``table``, by policy and protocol.

    The last ``summary`` rows of each block are below a rule.
    """
    parts = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        lines = shown.loc[rows.index].to_numpy().tolist()
        end = len(lines) - summary
        parts.append(latex.Part(f"Policy {policy}, protocol {protocol}", lines[:end], lines[end:]))
    return parts


def score_blocks(
    config: Config,
    table: pd.DataFrame,
    row: str,
    names: dict[str, str] | None = None,
    summary: int = 0,
    source: str = PUBLISHED_IN,
) -> list[latex.Part]:
    """A table of scores as blocks: ours, the published ones, and the differences.

    Rows are named by the column ``row``, through ``names``; the last ``summary`` rows of a block
    are below a rule.
    """
    methods = method_columns(table)
    published = _columns(table, PUBLISHED)
    parts: list[latex.Part] = []
    seen: list[pd.DataFrame] = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        title = f"Policy {policy}, protocol {protocol}"
        labels = rows[row].replace(names or {}).tolist()
        spread = pd.DataFrame(
            {method: rows.get(f"{method}_{STD}") for method in methods}, index=rows.index
        ).astype(float)
        parts.append(_block(title, labels, bold(config, rows[methods], spread), summary))
        theirs = published.loc[rows.index]
        if theirs.isna().all(axis=None):
            continue
        # Protocols are compared with the same values, which are shown once, unless they are means
        # over other games.
        plain = theirs.reset_index(drop=True)
        if not any(plain.equals(other) for other in seen):
            seen.append(plain)
            parts.append(_block(source, labels, bold(config, theirs), summary))
        shown = _columns(rows, DIFFERENCE).map(_signed)
        title = f"Difference, {title[0].lower()}{title[1:]}"
        parts.append(_block(title, labels, shown, summary))
    return parts


def _block(title: str, labels: list[str], shown: pd.DataFrame, summary: int) -> latex.Part:
    cells = shown.to_numpy().tolist()
    lines = [[label, *row] for label, row in zip(labels, cells, strict=True)]
    end = len(lines) - summary
    return latex.Part(title, lines[:end], lines[end:])


def _columns(table: pd.DataFrame, which: str) -> pd.DataFrame:
    """The columns of one sort, under the names of their methods."""
    methods = method_columns(table)
    return table[[f"{method}_{which}" for method in methods]].set_axis(methods, axis=1)


def _signed(difference: float) -> str:
    return DASH if pd.isna(difference) else f"{difference:+.2f}".replace("-", "−")


def bold(config: Config, values: pd.DataFrame, spread: pd.DataFrame | None = None) -> pd.DataFrame:
    """Values as texts, the best of each row in bold.

    Methods that learn from the labels do not compete.
    """
    best = values[[method for method in values if not learns_labels(config, method)]].max(axis=1)
    columns = {}
    for method in values:
        spreads = [float("nan")] * len(values) if spread is None else spread[method]
        texts = [*map(score_text, values[method], spreads)]
        if not learns_labels(config, method):
            texts = [
                latex.Bold(text) if round(top, 2) - round(value, 2) < TIE + 1e-9 else text
                for text, value, top in zip(texts, values[method], best, strict=True)
            ]
        columns[method] = texts
    # As objects: pandas would make plain text of what is bold.
    return pd.DataFrame(columns, index=values.index, dtype=object)
