"""F1 by kind of probe and by how variables are averaged."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.names import method_name, probe_name
from workflow_src.report.tables.captions import how_made
from workflow_src.report.tables.rendering import blocks, score_texts


def table(config: Config, data: Data) -> pd.DataFrame:
    """One row for each (policy, protocol, method, probe).

    Columns after these: mean_over_categories, mean_over_variables, mean_weighted (categories by
    their number of variables), each averaged over games and seeds, and ``games``: how many games
    the block has.
    """
    table = aggregate.by_probe(config, data.scores).reset_index()
    games = aggregate.game_counts(config, data.scores)
    return table.assign(games=games.reindex(pd.MultiIndex.from_frame(table[BLOCK])).to_numpy())


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX; a method is named in its first row only."""
    caption = (
        "F1 by probe and by how variables are averaged: over categories, over variables, and over "
        "categories weighted by their number of variables; mean over games and seeds. "
        f"{how_made(config, probe=False)}"
    )
    repeated = table.duplicated([*BLOCK, "method"])
    shown = table.drop(columns=BLOCK).assign(
        method=table["method"].map(method_name).mask(repeated, ""),
        probe=table["probe"].map(probe_name),
        **{level: score_texts(table[level]) for level in aggregate.MEANS},
        games=table["games"].astype(str),
    )
    means = ["Mean over categories", "Mean over variables", "Weighted mean"]
    header = ["Method", "Probe", *means, "Games"]
    return typeset("f1_by_probe", caption, header, blocks(table, shown), left=2)
