"""Scores averaged over games and seeds, for tables and figures alike.

Here a table is a DataFrame with a column for every (method, seed) of the configuration, in its order, and with NaN where
there is no score. A mean is never taken over fewer games or seeds than its neighbours: it is NaN when one is missing.
"""

import pandas as pd

from workflow_src.ari.labels import CATEGORIES
from workflow_src.config import Config
from workflow_src.errors import UserError

# What one table can hold several of: each (policy, protocol) is a block of rows, or a panel.
BLOCK = ["policy", "protocol"]


def values(config: Config, scores: pd.DataFrame, level: str, metric: str) -> pd.DataFrame:
    """One level and metric of the scores: rows (policy, protocol, name, game) where there is any, columns (method, seed).

    `UserError` when the scores are of another label set than the configuration's.
    """
    others = sorted(set(scores["label_set"]) - {config.label_set})
    if others:
        raise UserError(f"the scores are of label set {others[0]}, the configuration says {config.label_set}: make them again")
    wanted = (scores["level"] == level) & (scores["metric"] == metric) & scores["game"].isin(config.games)
    wide = scores[wanted].pivot(index=[*BLOCK, "name", "game"], columns=["method", "seed"], values="value")
    columns = pd.MultiIndex.from_product([config.methods, config.seeds], names=["method", "seed"])
    return wide.reindex(columns=columns).dropna(how="all")


def blocks(config: Config, **rows: list[str]) -> pd.MultiIndex:
    """Make the rows of a table: every (policy, protocol), or each of these with every entry of the axis in ``rows``."""
    axes = {"policy": list(config.policies), "protocol": list(config.protocols), **rows}
    return pd.MultiIndex.from_product(axes.values(), names=list(axes))


def by_game(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Take the mean over categories: rows (policy, protocol, game) for all of the configuration."""
    wide = values(config, scores, "mean_over_categories", metric).droplevel("name")
    return wide.reindex(blocks(config, game=config.games))


def over_games(games: pd.DataFrame) -> pd.DataFrame:
    """Average `by_game` over the games that any method has: rows (policy, protocol)."""
    return games.dropna(how="all").groupby(BLOCK).agg(lambda column: column.mean(skipna=False))


def by_category(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Average categories over the games that have them: rows (policy, protocol, category).

    The entropy filter can leave a game without a category, so only the games as wholes can be missing.
    """
    rows = blocks(config, category=list(CATEGORIES))
    found = values(config, scores, "category", metric).rename_axis(index={"name": "category"})
    means = found.groupby([*BLOCK, "category"]).mean().reindex(rows)
    complete = over_games(by_game(config, scores, metric)).notna()
    return means.where(complete.reindex(rows.droplevel("category"), fill_value=False).to_numpy())


def over_seeds(wide: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and standard deviation (n - 1; NaN of a single seed) over the seeds: the rows of ``wide``, a column a method."""
    parts = {method: wide[method] for method in wide.columns.unique("method")}
    mean = pd.DataFrame({method: part.mean(axis=1, skipna=False) for method, part in parts.items()})
    spread = pd.DataFrame({method: part.std(axis=1, skipna=False) for method, part in parts.items()})
    return mean, spread
