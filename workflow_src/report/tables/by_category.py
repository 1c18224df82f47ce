"""Table 3: a metric by category and method, mean over the games that have the category."""

import pandas as pd

from workflow_src.ari.annotations import GAMES
from workflow_src.ari.labels import CATEGORIES
from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.names import CATEGORY_NAMES, METRIC_NAMES, method_name
from workflow_src.report.tables.captions import PUBLISHED_LABELS, score_note
from workflow_src.report.tables.columns import (
    PUBLISHED_CATEGORIES,
    PUBLISHED_CATEGORY_ACCURACIES,
    has_published,
    method_columns,
    published_values,
    read_published,
    side_by_side,
)
from workflow_src.report.tables.rendering import score_blocks


def table(config: Config, data: Data, metric: str = "f1") -> pd.DataFrame:
    """One row for each (policy, protocol, category).

    Columns as in `by_game`, after ``games``: how many games the block has.
    """
    files = PUBLISHED_CATEGORIES if metric == "f1" else PUBLISHED_CATEGORY_ACCURACIES
    published = read_published(data, files, "category")
    rows = aggregate.blocks(config, category=list(CATEGORIES))
    ours = aggregate.by_category(config, data.scores, metric)
    table = side_by_side(config, ours, published_values(config, published, rows))
    games = aggregate.game_counts(config, data.scores).reindex(rows.droplevel("category"))
    table.insert(3, "games", games.to_numpy())
    return table


def latex(config: Config, table: pd.DataFrame, metric: str = "f1") -> str:
    """The same as LaTeX; the caption says so when ours are not means over the published games."""
    caption = (
        f"Probe {METRIC_NAMES[metric]} by category, mean over the games that have the category. "
    )
    published = set(GAMES[PUBLISHED_LABELS])
    other_games = set(config.games) != published or (table["games"] != len(published)).any()
    if other_games and has_published(table):
        ours = " and ".join(map(str, sorted(set(table["games"]))))
        caption += (
            "Not comparable: the published values are means over other games "
            f"({len(published)}) than ours ({ours}). "
        )
    header = ["Category", *map(method_name, method_columns(table))]
    parts = score_blocks(config, table, "category", CATEGORY_NAMES)
    note = score_note(config, table)
    return typeset(f"table3_{metric}_by_category", caption + note, header, parts)
