"""Tables 4, 13 to 34 and 35 to 56: F1 of every annotated variable of one game."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.agreement.compared import published_of
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.names import method_name
from workflow_src.report.tables.captions import score_note
from workflow_src.report.tables.columns import method_columns, published_values, side_by_side
from workflow_src.report.tables.rendering import score_blocks


def table(config: Config, data: Data, game: str) -> pd.DataFrame:
    """One row for each (policy, protocol, variable); columns as in `by_game`."""
    found = aggregate.by_variable(config, data.scores, game)
    paper = published_values(config, published_of(data, game), found.index)
    return side_by_side(config, found, paper)


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
