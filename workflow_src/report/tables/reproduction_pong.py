"""Pong by category, compared with an independent reproduction of it.

The report is of the NeurIPS 2019 Reproducibility Challenge; its numbers are in reference/.
"""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.names import CATEGORY_NAMES, METRIC_NAMES, method_name
from workflow_src.report.tables.captions import score_note
from workflow_src.report.tables.columns import (
    DIFFERENCE,
    PUBLISHED,
    RANDOM,
    REPRODUCED,
    STD,
    method_columns,
    published_values,
    side_by_side,
)
from workflow_src.report.tables.rendering import score_blocks

REPORT = "NeurIPS 2019 Reproducibility Challenge"
REPORTED = "reproduction_report_pong.csv"
GAME = "pong"


def table(config: Config, data: Data) -> pd.DataFrame:
    """One row for each (policy, protocol, metric, category) of the report.

    Columns as in `by_game`, but ``{method}_report`` instead of ``{method}_paper``. The report's
    mean is over these categories, which are all that Pong has.
    """
    reported = data.published(REPORTED, "metric", "category")
    parts = []
    for metric, theirs in reported.groupby(level="metric", sort=False):
        theirs = theirs.droplevel("metric")
        rows = aggregate.blocks(config, category=list(theirs.index))
        ours = _by_category(config, data.scores, str(metric)).reindex(rows)
        table = side_by_side(config, ours, published_values(config, {RANDOM: theirs}, rows))
        table.insert(2, "metric", metric)
        parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    wanted = {*BLOCK, "metric", "category"}
    for method in set(config.methods) & set(reported.columns):
        wanted |= {method, *(f"{method}_{end}" for end in (STD, PUBLISHED, DIFFERENCE))}
    table = table[[column for column in table.columns if column in wanted]]
    return _renamed(table, PUBLISHED, REPRODUCED)


def _by_category(config: Config, scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Pong's categories and their mean: rows (policy, protocol, category)."""
    found = aggregate.values(config, scores, "category", metric)
    found = found.rename_axis(index={"name": "category"})
    found = found[found.index.get_level_values("game") == GAME].droplevel("game")
    means = aggregate.by_game(config, scores, metric)
    means = means[means.index.get_level_values("game") == GAME].droplevel("game")
    means = pd.concat({MEAN: means}, names=["category"]).reorder_levels(found.index.names)
    return pd.concat([found, means])


def _renamed(table: pd.DataFrame, before: str, after: str) -> pd.DataFrame:
    """The table with columns ``{method}_{before}`` called ``{method}_{after}``."""
    ends = {name: name.removesuffix(f"_{before}") for name in table.columns}
    new = {name: f"{method}_{after}" for name, method in ends.items() if name != method}
    return table.rename(columns=new)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX, a group of blocks for each metric."""
    table = _renamed(table, REPRODUCED, PUBLISHED)
    caption = (
        "Pong, read out here and in the report of an independent reproduction "
        f"({REPORT}; one run, random agents). {score_note(config, table, 'the report')}"
    )
    names = CATEGORY_NAMES | {MEAN: "Mean"}
    parts = []
    for metric, rows in table.groupby("metric", sort=False):
        rows = rows.drop(columns="metric")
        for part in score_blocks(config, rows, "category", names, 1, "The report"):
            title = f"{METRIC_NAMES[str(metric)].capitalize()}: {part.title}"
            parts.append(part._replace(title=title))
    header = ["Category", *map(method_name, method_columns(table))]
    return typeset("reproduction_pong", caption, header, parts)
