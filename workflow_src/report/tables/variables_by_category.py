"""Table 1: how many annotated variables a game has in each category."""

import pandas as pd

from workflow_src.ari.labels import CATEGORIES, categories, variables
from workflow_src.config.run import Config
from workflow_src.report.data import Data
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import CATEGORY_NAMES
from workflow_src.report.tables.captions import PAPER, versions_note

PUBLISHED = "paper_table1_variables_by_category.csv"


def table(config: Config, data: Data) -> pd.DataFrame:
    """Columns: game, the categories, overall. Rows: the games, ``total``, and ``paper_total``.

    A variable can be in several categories, so ``overall`` is not always their sum.
    ``paper_total`` is the published total.
    """
    counts = {}
    for game in config.games:
        names = list(variables(config.label_set, game))
        found = {
            category: sum(category in categories(name) for name in names) for category in CATEGORIES
        }
        counts[game] = found | {"overall": len(names)}
    table = pd.DataFrame.from_dict(counts, orient="index")
    table.loc["total"] = table.sum()
    published = data.published(PUBLISHED, "game")
    table.loc["paper_total"] = published.loc["total", table.columns].astype(int)
    return table.rename_axis("game").reset_index()


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX, the totals below a rule."""
    caption = (
        f"State variables by category in label set {config.label_set}; "
        "a variable can be in several, or in none. "
        f"The published total ({PAPER}) is of 22 games in label set paper-2019. {versions_note()}"
    )
    names = {"game": "Game", **CATEGORY_NAMES, "overall": "Overall"}
    totals = {"total": "Total", "paper_total": "Published total"}
    body = table.replace({"game": totals}).astype(str).to_numpy().tolist()
    header = [names[column] for column in table.columns]
    return typeset(
        "table1_variables_by_category", caption, header, [Part("", body[:-2], body[-2:])]
    )
