"""F1 of one game's variables in the terminal, by category, beside published values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_src.ari.labels import CATEGORIES, categories
from workflow_src.csv_files import read_published
from workflow_src.report.names import method_name
from workflow_src.report.scores import read_scores
from workflow_src.report.tables.rendering import DASH, score_text

# What a new encoder is compared with.
_BESIDE = ("random-cnn", "st-dim")
_PUBLISHED = "paper_tables13to34_f1_by_variable_random_agent.csv"


def plain_text(columns: Mapping[str, Mapping[str, float]], title: str) -> str:
    """A table with a row for each variable under its category, and means.

    ``columns``: {heading: {variable: F1}}; the first one's variables are shown. A variable without
    a category stands at the end. The mean over categories is the benchmark's headline.
    """
    table = pd.DataFrame({name: pd.Series(dict(rows)) for name, rows in columns.items()})
    table = table.loc[[*next(iter(columns.values()))]]
    rows: dict[str, pd.Series] = {}
    means = []
    for category in CATEGORIES:
        members = [name for name in table.index if category in categories(name)]
        if members:
            means.append(table.loc[members].mean())
            rows[category] = means[-1]
            rows |= {f"  {name}": table.loc[name] for name in members}
    others = [name for name in table.index if not categories(name)]
    rows |= {name: table.loc[name] for name in others}
    if means:
        rows["mean over categories"] = pd.DataFrame(means).mean()
    rows["mean over variables"] = table.mean()
    # A published mean is of all published variables, and these may be fewer.
    shown = pd.DataFrame(rows).T.reindex(columns=table.columns)
    text = shown.map(lambda value: DASH if pd.isna(value) else score_text(value))
    text.index = [f"{name:<28}" for name in text.index]
    return f"{title}\n{text.to_string()}"


def of_run(scores: Path, reference: Path, game: str, methods: Sequence[str], title: str) -> str:
    """The table of a run's methods on one game, from scores.csv, beside published values."""
    found = read_scores(scores)
    ours = found[(found["level"] == "variable") & (found["metric"] == "f1")]
    columns = {
        method_name(name): dict(ours[ours["method"] == name][["name", "value"]].to_numpy())
        for name in dict.fromkeys(methods)
    }
    published = read_published(reference, _PUBLISHED, text=["game", "variable", "method"])
    for name in _BESIDE:
        theirs = published[(published["game"] == game) & (published["method"] == name)]
        if len(theirs):
            columns[f"{method_name(name)}, published"] = dict(theirs[["variable", "f1"]].to_numpy())
    return plain_text(columns, f"F1 of {game}, random agent, {title}")
