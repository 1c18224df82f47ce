"""The columns of the tables: our means with their spread, the published values, the differences."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate

STD, PUBLISHED, DIFFERENCE = "std", "paper", "difference"
# Takes the place of PUBLISHED for values of the reproduction report.
REPRODUCED = "report"
PUBLISHED_GAMES = "paper_table2_f1_random_agent.csv"
PUBLISHED_CATEGORIES = "paper_table3_f1_by_category.csv"


def side_by_side(config: Config, wide: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """For each method: our mean, its spread over seeds, the published value, the difference."""
    mean, spread = aggregate.over_seeds(wide)
    columns = {}
    for method in config.methods:
        columns[method] = mean[method]
        if len(config.seeds) > 1:
            columns[f"{method}_{STD}"] = spread[method]
        columns[f"{method}_{PUBLISHED}"] = paper[method]
        columns[f"{method}_{DIFFERENCE}"] = mean[method] - paper[method]
    return pd.DataFrame(columns).reset_index()


def published_values(config: Config, published: pd.DataFrame, rows: pd.MultiIndex) -> pd.DataFrame:
    """The published values for ``rows``, by their last level: a column for each method, or NaN."""
    names = rows.get_level_values(-1)
    paper = published.reindex(index=names, columns=list(config.methods))
    paper = paper.set_index(rows).astype(float)
    others = [not is_published(config, policy) for policy in rows.get_level_values("policy")]
    paper[others] = float("nan")
    return paper


def is_published(config: Config, policy: str) -> bool:
    """Whether the published numbers are about this policy: they are about random agents."""
    return config.policies[policy].kind == "random"


def method_columns(table: pd.DataFrame) -> list[str]:
    """List the methods of a table, by the columns it has."""
    return [column for column in table.columns if f"{column}_{PUBLISHED}" in table.columns]


def has_published(table: pd.DataFrame) -> bool:
    """Whether a table has any published value."""
    names = [f"{method}_{PUBLISHED}" for method in method_columns(table)]
    return bool(table[names].notna().any(axis=None))
