"""What was published after the paper, beside the paper's means and this run's.

Label sets and numbers of games differ, so a table's part has one of each, and nothing is a
difference.
"""

import math
import re

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import MEAN
from workflow_src.report.data import Data
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import DASH, method_name
from workflow_src.report.tables.captions import PAPER, PUBLISHED_LABELS, how_made
from workflow_src.report.tables.columns import PUBLISHED_GAMES, RANDOM, read_published

FILE = "later_results.csv"
OURS = "this run"
MASKED = "masked frames when probing"
_SIZE = 256  # features of the paper's encoders
_TEXTS = (
    *("method", "source", "label_set", "min_entropy", "input", "encoder", "feature_size"),
    *("probe", "games_in_mean", "game", "metric", "certainty", "note"),
)
COLUMNS = [
    "source",
    "year",
    "label_set",
    "games",
    "method",
    "features",
    "f1",
    "f1_of_these_games",
    "note",
]


def table(config: Config, data: Data) -> pd.DataFrame:
    """One row for each published mean and each method of the run; columns `COLUMNS`.

    ``games``: how many are in the mean ``f1``, with a question mark where the source does not say.
    ``f1_of_these_games``: the mean over the run's games, where each was published.
    """
    found = pd.concat([_paper(config, data), _later(config, data), _ours(config, data)])
    return found.reset_index(drop=True)[COLUMNS]


def _paper(config: Config, data: Data) -> pd.DataFrame:
    by_game = read_published(data, PUBLISHED_GAMES, "game")[RANDOM]
    by_game = by_game.drop(index=MEAN, errors="ignore")
    here = by_game.reindex(config.games).mean(skipna=False)
    rows = {
        "method": by_game.columns,
        "f1": by_game.mean().to_numpy(),
        "f1_of_these_games": here.to_numpy(),
    }
    about = {"source": f"Anand et al. 2019, {PAPER}", "year": 2019, "label_set": PUBLISHED_LABELS}
    found = pd.DataFrame(rows).assign(games=str(len(by_game)), features=_SIZE, note="", **about)
    found["features"] = found["features"].where(found["method"] != "maj-clf")  # it reads none
    return found


def _later(config: Config, data: Data) -> pd.DataFrame:
    """Means of F1 as published, once where two sources say the same."""
    everything = data.published(FILE, *_TEXTS).reset_index()
    everything = everything[everything["metric"] == "f1"]
    keys = ["source", "year", "label_set", "method", "feature_size"]
    means = everything[everything["game"] == MEAN]
    masked = means["note"].str.startswith(MASKED)
    means = means.assign(games=means["games_in_mean"], note=masked.map({True: MASKED, False: ""}))
    means = means.sort_values("games", kind="stable")
    means = means.drop_duplicates([key for key in keys if key != "source"])
    each = everything[everything["game"].isin(config.games)].pivot_table(
        index=keys, columns="game", values="value"
    )
    here = each.reindex(columns=config.games).mean(axis=1, skipna=False)
    found = means.set_index(keys).assign(f1_of_these_games=here).reset_index()
    return found.rename(columns={"feature_size": "features", "value": "f1"})[COLUMNS]


def _ours(config: Config, data: Data) -> pd.DataFrame:
    mean, _ = aggregate.over_seeds(aggregate.over_games(aggregate.by_game(config, data.scores)))
    sizes = aggregate.values(config, data.scores, "features", "size")
    rows = []
    for block, values in mean.iterrows():
        for method, f1 in values.items():
            size = sizes[method].stack().to_list()
            rows.append(
                {
                    "source": f"{OURS} ({', '.join(map(str, block))})",
                    "method": method,
                    "features": size[0] if size else math.nan,
                    "f1": f1,
                    "f1_of_these_games": f1,
                }
            )
    about = {"year": math.nan, "label_set": config.label_set, "games": str(len(config.games))}
    about |= {"note": ""}
    return pd.DataFrame(rows).assign(**about)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX: a part for each source, label set and number of games."""
    caption = (
        "Mean F1 by number of features: the paper's, what was published later, and this run's. "
        "Sources differ in label set, games, frames and encoders; the column These games is over "
        f"the games of this run alone. {how_made(config)}"
    )
    parts = []
    for (source, labels, games, note), rows in table.groupby(
        ["source", "label_set", "games", "note"], sort=False
    ):
        lines = [
            [
                method_name(row["method"]),
                DASH if pd.isna(row["features"]) else f"{float(row['features']):,.0f}",
                *(_number(row[name]) for name in ("f1", "f1_of_these_games")),
            ]
            for _, row in rows.iterrows()
        ]
        names = re.match(r"[^,]+(?=,)", str(source))
        number = re.search(r"arXiv [\d.]+\d", str(source))
        cited = f", {number[0]}" if number else ""
        title = f"{names[0]}{cited}" if names and cited else str(source)
        also = f", {note}" if note else ""
        parts.append(Part(f"{title}: {labels}, {games} games{also}", lines, []))
    return typeset("later", caption, ["Method", "Features", "F1", "These games"], parts)


def _number(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.2f}"
