"""The columns of the tables: our means with their spread, the published values, the differences."""

from collections.abc import Mapping

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.data import Data

STD, PUBLISHED, DIFFERENCE = "std", "paper", "difference"
# Takes the place of PUBLISHED for values of the reproduction report.
REPRODUCED = "report"
# The published numbers by who played: a random agent, or one that learned by PPO.
RANDOM, PPO = "random", "ppo"
PUBLISHED_GAMES = {
    RANDOM: ["paper_table2_f1_random_agent.csv", "paper_table8_f1_ablations.csv"],
    PPO: ["paper_table6_f1_ppo_agent.csv", "paper_table10_f1_rl_probe_ppo_agent.csv"],
}
PUBLISHED_CATEGORIES = {
    RANDOM: ["paper_table3_f1_by_category.csv", "paper_table9_f1_by_category_ablations.csv"],
    PPO: ["paper_table7_f1_by_category_ppo_agent.csv"],
}

# The same of accuracies, of which vae's of pitfall is an F1 by mistake.
PUBLISHED_ACCURACIES = {RANDOM: ["paper_table11_accuracy_random_agent.csv"]}
PUBLISHED_CATEGORY_ACCURACIES = {RANDOM: ["paper_table12_accuracy_by_category.csv"]}
# F1 of every variable: game, variable, method, f1.
PUBLISHED_VARIABLES = {
    RANDOM: "paper_tables13to34_f1_by_variable_random_agent.csv",
    PPO: "paper_tables35to56_f1_by_variable_ppo_agent.csv",
}

# Tables of published numbers, by who played.
Published = Mapping[str, pd.DataFrame]


def read_published(data: Data, files: Mapping[str, list[str]], index: str) -> Published:
    """Read published numbers; of a column that several files have, the first file's."""
    found = {}
    for player, names in files.items():
        tables = [data.published(name, index) for name in names]
        whole = pd.concat(tables, axis=1)
        found[player] = whole.loc[:, ~whole.columns.duplicated()]
    return found


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


def published_values(config: Config, published: Published, rows: pd.MultiIndex) -> pd.DataFrame:
    """The published values for ``rows``, by their last level: a column for each method, or NaN."""
    names, methods = rows.get_level_values(-1), list(config.methods)
    paper = pd.DataFrame(float("nan"), index=rows, columns=methods)
    players = [published_player(config, policy) for policy in rows.get_level_values("policy")]
    for player, table in published.items():
        here = [one == player for one in players]
        found = table.reindex(index=names[here], columns=methods).astype(float)
        paper.loc[here, :] = found.to_numpy()
    return paper


def published_player(config: Config, policy: str) -> str | None:
    """Who of those in the published numbers a policy is, if it is one of them."""
    row = config.policies[policy]
    if row.agent is None:
        return RANDOM if row.kind == "random" else None
    return PPO if config.agents[row.agent].kind == "ppo" else None


def method_columns(table: pd.DataFrame) -> list[str]:
    """List the methods of a table, by the columns it has."""
    return [column for column in table.columns if f"{column}_{PUBLISHED}" in table.columns]


def has_published(table: pd.DataFrame) -> bool:
    """Whether a table has any published value."""
    names = [f"{method}_{PUBLISHED}" for method in method_columns(table)]
    return bool(table[names].notna().any(axis=None))
