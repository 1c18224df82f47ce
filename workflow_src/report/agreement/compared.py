"""Our F1 of every variable beside the published one."""

import pandas as pd

from workflow_src.ari.labels import CATEGORIES, categories, variables
from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.data import Data
from workflow_src.report.tables.columns import (
    PUBLISHED_VARIABLES,
    Published,
    published_values,
)

# The published values have two digits; ours of another seed differ by more than that.
NEAR = 0.05
SOURCE = "the authors' summary notebook (27 October 2019)"
COLUMNS = ["policy", "protocol", "method", "game", "variable", "category"]


def published_of(data: Data, game: str) -> Published:
    """The published F1 of a game's variables, by who played: a column for each method."""
    found = {}
    for player, file in PUBLISHED_VARIABLES.items():
        values = data.published(file, "game", "variable", "method")["f1"]
        if game in values.index.get_level_values("game"):
            found[player] = values.loc[game].unstack("method")
    return found


def cells(config: Config, data: Data) -> pd.DataFrame:
    """One row for each value that both have.

    Columns: policy, protocol, method, game, variable, category (the first it belongs to), ours
    (mean over seeds), published and difference.
    """
    found = []
    for game in config.games:
        wide = aggregate.by_variable(config, data.scores, game)
        ours, _ = aggregate.over_seeds(wide)
        theirs = published_values(config, published_of(data, game), wide.index)
        for method in config.methods:
            both = pd.DataFrame({"ours": ours[method], "published": theirs[method]}).dropna()
            found.append(both.reset_index().assign(method=method, game=game))
    table = pd.concat(found, ignore_index=True)
    named = {
        name: first(name) for game in config.games for name in variables(config.label_set, game)
    }
    table["category"] = table["variable"].map(named)
    table["difference"] = table["ours"] - table["published"]
    return table[[*COLUMNS, "ours", "published", "difference"]]


def first(variable: str) -> str:
    """The first category of a variable, in the order of the tables; misc for none."""
    mine = categories(variable)
    return next((name for name in CATEGORIES if name in mine), "misc")
