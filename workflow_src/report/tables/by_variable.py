"""Table 4, and 35 to 56 for frames of agents: F1 of every annotated variable of one game."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.names import method_name
from workflow_src.report.tables.captions import score_note
from workflow_src.report.tables.columns import (
    PPO,
    RANDOM,
    method_columns,
    published_values,
    side_by_side,
)
from workflow_src.report.tables.rendering import score_blocks

PUBLISHED = "paper_table4_boxing_f1_by_variable.csv"
PUBLISHED_GAME = "boxing"
OF_AGENTS = "paper_tables35to56_f1_by_variable_ppo_agent.csv"


def table(config: Config, data: Data, game: str) -> pd.DataFrame:
    """One row for each (policy, protocol, variable); columns as in `by_game`."""
    published = {}
    if game == PUBLISHED_GAME:
        published[RANDOM] = data.published(PUBLISHED, "variable")
    values = data.published(OF_AGENTS, "game", "variable", "method")["f1"]
    if game in values.index.get_level_values("game"):
        published[PPO] = values.loc[game].unstack("method")
    found = aggregate.by_variable(config, data.scores, game)
    return side_by_side(config, found, published_values(config, published, found.index))


def latex(config: Config, table: pd.DataFrame, game: str) -> str:
    """The same as LaTeX."""
    caption = (
        f"Probe F1 of every variable of {game}; "
        f"a dash where the entropy filter ({config.splits.min_entropy:g} nats) dropped "
        f"the variable, or nothing was run. {score_note(config, table)}"
    )
    header = ["Variable", *map(method_name, method_columns(table))]
    parts = score_blocks(config, table, "variable")
    return typeset(f"table4_f1_by_variable-{game}", caption, header, parts)
