"""Table 2: a metric by game and method, mean over categories."""

from pathlib import Path

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.csv_files import read_csv
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.names import METRIC_NAMES, method_name
from workflow_src.report.tables.captions import PAPER, score_note
from workflow_src.report.tables.columns import (
    PUBLISHED,
    PUBLISHED_ACCURACIES,
    PUBLISHED_GAMES,
    STD,
    method_columns,
    published_player,
    published_values,
    read_published,
    side_by_side,
)
from workflow_src.report.tables.rendering import DASH, score_blocks, score_text


def table(config: Config, data: Data, metric: str = "f1") -> pd.DataFrame:
    """One row for each (policy, protocol, game), and a row ``mean`` after each block.

    Columns: policy, protocol, game, then those of each method. The mean, ours and the published
    one, is over the games that any method has.
    """
    files = PUBLISHED_GAMES if metric == "f1" else PUBLISHED_ACCURACIES
    published = read_published(data, files, "game")
    games = aggregate.by_game(config, data.scores, metric)
    rows = aggregate.blocks(config, game=[*config.games, MEAN])
    paper = published_values(config, published, rows)
    for (policy, protocol), part in games.groupby(BLOCK):
        present = part.dropna(how="all").index.get_level_values("game")
        # The published mean itself where it is of the same games: it differs from the mean of the
        # rounded values.
        theirs = published.get(published_player(config, policy) or "")
        if theirs is not None and set(present) != set(theirs.index) - {MEAN}:
            same = theirs.reindex(index=present, columns=paper.columns)
            paper.loc[(policy, protocol, MEAN), :] = same.mean(skipna=False)
    return side_by_side(config, aggregate.with_mean(games).reindex(rows), paper)


def latex(config: Config, table: pd.DataFrame, metric: str = "f1") -> str:
    """The same as LaTeX: ours, the published values and the differences."""
    caption = (
        f"Probe {METRIC_NAMES[metric]} by game, mean over categories. "
        "Means, ours and published, are over the games that were run in their block. "
        f"{score_note(config, table)}"
    )
    header = ["Game", *map(method_name, method_columns(table))]
    parts = score_blocks(config, table, "game", {MEAN: "Mean"}, summary=1)
    return typeset(f"table2_{metric}_by_game", caption, header, parts)


def plain_text(csv: Path) -> str:
    """The table for the terminal, from its CSV.

    "0.58 (0.81)" is ours and, in parentheses, the published value.
    """
    table = read_csv(csv, text=[*BLOCK, "game"])
    none = pd.Series(float("nan"), table.index)
    columns = {}
    for method in method_columns(table):
        ours, spread = table[method], table.get(f"{method}_{STD}", none)
        columns[method_name(method)] = [*map(_cell, ours, spread, table[f"{method}_{PUBLISHED}"])]
    cells = pd.DataFrame(columns, index=table.index)
    shown = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        body = cells.loc[rows.index].set_axis(rows["game"], axis=0).rename_axis(None)
        title = f"F1, policy {policy}, protocol {protocol}; in parentheses: {PAPER}"
        shown.append(f"{title}\n{body.to_string()}\n")
    return "\n".join(shown)


def _cell(ours: float, spread: float, published: float) -> str:
    if pd.isna(ours) and pd.isna(published):
        return DASH
    return f"{score_text(ours, spread)} ({score_text(published)})"
