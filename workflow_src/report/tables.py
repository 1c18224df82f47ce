"""The paper's Tables 1 to 3 (arXiv 1906.08226) from our scores, with the published values beside ours, and two of our own.

The paper's tables show the first of each method's probes. Each table is one pure function that makes the DataFrame of its
CSV, and one that shows this DataFrame as LaTeX, which needs booktabs and the T1 encoding. The CSV holds six decimals and
nothing where there is no value; two decimals and the dash are for display.
"""

import importlib.metadata
from pathlib import Path

import pandas as pd

from workflow_src import artifacts
from workflow_src.ari.labels import CATEGORIES, categories, variables
from workflow_src.config import Config
from workflow_src.report import aggregate, latex
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.names import CATEGORY_NAMES, DASH, PROBE_NAMES, method_name
from workflow_src.report.scores import read_csv, read_scores

PAPER = "arXiv 1906.08226"
TABLE1, TABLE2, TABLE3 = "table1_variables_by_category", "table2_f1_by_game", "table3_f1_by_category"
IQM, BY_PROBE = "iqm", "f1_by_probe"
REFERENCE1 = "paper_table1_variables_by_category.csv"
REFERENCE2 = "paper_table2_f1_random_agent.csv"
REFERENCE3 = "paper_table3_f1_by_category.csv"


def write_tables(config: Config, scores: Path, reference: Path, out: Path) -> None:
    """Write the five tables as CSV and LaTeX into the folder ``out``.

    ``scores`` is scores.csv, ``reference`` the folder of the published numbers. `UserError` or `DamagedFile` when one of
    the files is missing, damaged, or of another label set.
    """
    ours = read_scores(scores)
    variables_published = read_csv(reference / REFERENCE1, text=["game"]).set_index("game")
    games_published = read_csv(reference / REFERENCE2, text=["game"]).set_index("game")
    categories_published = read_csv(reference / REFERENCE3, text=["category"]).set_index("category")
    table1 = variables_by_category(config, variables_published)
    table2 = f1_by_game(config, ours, games_published)
    table3 = f1_by_category(config, ours, categories_published)
    iqm = interquartile_means(config, ours)
    by_probe = f1_by_probe(config, ours)
    for name, table, shown in (
        (TABLE1, table1, latex_variables_by_category(config, table1)),
        (TABLE2, table2, latex_f1_by_game(config, table2)),
        (TABLE3, table3, latex_f1_by_category(config, table3, set(games_published.index) - {"mean"})),
        (IQM, iqm, latex_interquartile_means(config, iqm)),
        (BY_PROBE, by_probe, latex_f1_by_probe(config, by_probe)),
    ):
        write(table, shown, out / name)


def write(table: pd.DataFrame, shown: str, path: Path) -> None:
    """Write a table as CSV and as the LaTeX ``shown``, whose endings ``path`` lacks."""
    artifacts.write_text(path.with_name(f"{path.name}.csv"), table.round(6).to_csv(index=False, lineterminator="\n"))
    artifacts.write_text(path.with_name(f"{path.name}.tex"), shown)


# The tables as they stand in the CSV files.


def variables_by_category(config: Config, published: pd.DataFrame) -> pd.DataFrame:
    """Table 1: how many annotated variables a game has in each category, and in all.

    Columns: game, the categories, overall; rows: the games, ``total``, and the published total as ``paper_total``. A
    variable can be in several categories, so ``overall`` is not always their sum.
    """
    counts = {}
    for game in config.games:
        names = list(variables(config.label_set, game))
        by_category = {category: sum(category in categories(name) for name in names) for category in CATEGORIES}
        counts[game] = by_category | {"overall": len(names)}
    table = pd.DataFrame.from_dict(counts, orient="index")
    table.loc["total"] = table.sum()
    table.loc["paper_total"] = published.loc["total", table.columns].astype(int)
    return table.rename_axis("game").reset_index()


def f1_by_game(config: Config, scores: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Table 2: F1, mean over categories. One row per (policy, protocol, game) and a row ``mean`` after each block.

    Columns: policy, protocol, game, then by method ``{method}``, ``{method}_std`` if there are several seeds, and
    ``{method}_paper``. The mean, ours and the published, is over the games that any method has.
    """
    games = aggregate.by_game(config, scores)
    means = pd.concat({"mean": aggregate.over_games(games)}, names=["game"]).reorder_levels(games.index.names)
    rows = aggregate.blocks(config, game=[*config.games, "mean"])
    paper = _published(config, published, rows)
    for (policy, protocol), part in games.groupby(BLOCK):
        there = part.dropna(how="all").index.get_level_values("game")
        # The published mean itself where it is of the same games: it differs from the mean of the rounded values.
        if _is_published(config, policy) and set(there) != set(published.index) - {"mean"}:
            same = published.reindex(index=there, columns=paper.columns)
            paper.loc[(policy, protocol, "mean"), :] = same.mean(skipna=False)
    return _beside(config, pd.concat([games, means]).reindex(rows), paper)


def f1_by_category(config: Config, scores: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Table 3: F1 by category, mean over the games that have the category. One row per (policy, protocol, category).

    Columns as in `f1_by_game`, after ``games``: how many games there are in the block.
    """
    rows = aggregate.blocks(config, category=list(CATEGORIES))
    table = _beside(config, aggregate.by_category(config, scores), _published(config, published, rows))
    table.insert(3, "games", aggregate.game_counts(config, scores).reindex(rows.droplevel("category")).to_numpy())
    return table


def interquartile_means(config: Config, scores: pd.DataFrame) -> pd.DataFrame:
    """Interquartile mean of F1 (mean over categories) over games and seeds. One row per (policy, protocol, method).

    Columns: policy, protocol, method, iqm, and the bounds of its interval, low and high, empty of a single seed.
    """
    return aggregate.interquartile_means(config, scores).reset_index()


def f1_by_probe(config: Config, scores: pd.DataFrame) -> pd.DataFrame:
    """F1 with every probe and every mean over variables. One row per (policy, protocol, method, probe).

    Columns after these: mean_over_categories, mean_over_variables, mean_weighted (categories by their number of variables),
    each averaged over games and seeds, and ``games``: how many there are in the block.
    """
    table = aggregate.by_probe(config, scores).reset_index()
    games = aggregate.game_counts(config, scores)
    return table.assign(games=games.reindex(pd.MultiIndex.from_frame(table[BLOCK])).to_numpy())


def _published(config: Config, published: pd.DataFrame, rows: pd.MultiIndex) -> pd.DataFrame:
    """Find the published values for ``rows``, by their last level, a column a method; NaN where there is none."""
    paper = published.reindex(index=rows.get_level_values(-1), columns=list(config.methods)).set_index(rows)
    paper[[not _is_published(config, policy) for policy in rows.get_level_values("policy")]] = float("nan")
    return paper


def _is_published(config: Config, policy: str) -> bool:
    """Whether the reference files speak of this policy: they hold what was read out of random agents' frames."""
    return config.policies[policy].kind == "random"


def _beside(config: Config, wide: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Ours, its spread if there is one, and the published values as columns side by side, method by method."""
    mean, spread = aggregate.over_seeds(wide)
    columns = {}
    for method in config.methods:
        columns[method] = mean[method]
        if len(config.seeds) > 1:
            columns[f"{method}_std"] = spread[method]
        columns[f"{method}_paper"] = paper[method]
    return pd.DataFrame(columns).reset_index()


# The tables as a person reads them.


def render_table2(csv: Path) -> str:
    """Table 2 as plain text for the terminal, from its CSV; "0.58 (0.81)" is ours and, in parentheses, the published."""
    table = read_csv(csv, text=[*BLOCK, "game"])
    cells = _cells(table).rename(columns=method_name)
    shown = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        body = cells.loc[rows.index].set_axis(rows["game"], axis=0).rename_axis(None)
        shown.append(f"F1, policy {policy}, protocol {protocol}; in parentheses: {PAPER}\n{body.to_string()}\n")
    return "\n".join(shown)


def latex_variables_by_category(config: Config, table: pd.DataFrame) -> str:
    """Table 1 as LaTeX."""
    caption = (
        f"State variables by category in label set {config.label_set}; a variable can be in several, or in none. "
        f"The published total ({PAPER}) is of 22 games in label set paper-2019."
    )
    names = {"game": "Game", **CATEGORY_NAMES, "overall": "Overall"}
    totals = {"total": "Total", "paper_total": "Published total"}
    body = table.replace({"game": totals}).astype(str).to_numpy().tolist()
    return latex.table(TABLE1, caption, [names[c] for c in table.columns], [latex.Part("", body[:-2], body[-2:])])


def latex_f1_by_game(config: Config, table: pd.DataFrame) -> str:
    """Table 2 as LaTeX."""
    caption = (
        f"Probe F1 by game, mean over categories; in parentheses what was published ({PAPER}: label set paper-2019, "
        "random agents). Means, ours and published, are over the games that were run in their block. "
        + _spread(config)
        + setting(config)
    )
    return latex.table(
        TABLE2, caption, ["Game", *map(method_name, _methods(table))], _parts(table, "game", {"mean": "Mean"}, summary=1)
    )


def latex_f1_by_category(config: Config, table: pd.DataFrame, published: set[str]) -> str:
    """Table 3 as LaTeX; the caption says so when ours are not means over the games ``published``."""
    caption = (
        "Probe F1 by category, mean over the games that have the category; in parentheses what was published "
        f"({PAPER}: label set paper-2019, random agents, {len(published)} games). "
    )
    if set(config.games) != published or (table["games"] != len(published)).any():
        caption += (
            f"Not comparable: the published values are means over other games ({len(published)}) than ours ({_games(table)}). "
        )
    return latex.table(
        TABLE3,
        caption + _spread(config) + setting(config),
        ["Category", *map(method_name, _methods(table))],
        _parts(table, "category", CATEGORY_NAMES, summary=0),
    )


def latex_interquartile_means(config: Config, table: pd.DataFrame) -> str:
    """The interquartile means as LaTeX."""
    caption = (
        "Interquartile mean of the probe F1 (mean over categories) of all games and seeds, and its "
        f"{interval_note(config)}. {setting(config)}"
    )
    shown = pd.DataFrame(
        {
            "method": table["method"].map(method_name),
            "iqm": _numbers(table["iqm"]),
            "interval": [
                DASH if pd.isna(low) else f"[{low:.2f}, {high:.2f}]"
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
        }
    )
    header = ["Method", "Interquartile mean", f"{aggregate.CONFIDENCE:.0%} interval"]
    return latex.table(IQM, caption, header, blocks(table, shown))


def interval_note(config: Config) -> str:
    """What an interquartile mean's interval is, or why there is none."""
    if len(config.seeds) == 1:
        return "interval, of which a single seed has none"
    return f"{aggregate.CONFIDENCE:.0%} interval (bootstrap over {len(config.seeds)} seeds, stratified by game)"


def latex_f1_by_probe(config: Config, table: pd.DataFrame) -> str:
    """The scores by probe as LaTeX."""
    caption = (
        "F1 by probe and by how variables are averaged: over categories, over variables, and over categories weighted by "
        f"their number of variables; mean over games and seeds. {setting(config)}"
    )
    # A method is named in its first row alone.
    repeated = table.duplicated([*BLOCK, "method"])
    shown = table.drop(columns=BLOCK).assign(
        method=table["method"].map(method_name).mask(repeated, ""),
        probe=table["probe"].map(PROBE_NAMES),
        **{level: _numbers(table[level]) for level in aggregate.MEANS},
        games=table["games"].astype(str),
    )
    header = ["Method", "Probe", "Mean over categories", "Mean over variables", "Weighted mean", "Games"]
    return latex.table(BY_PROBE, caption, header, blocks(table, shown), left=2)


def setting(config: Config) -> str:
    """How the scores were made: the end of a caption."""
    frames, epochs = config.episodes.frames, config.training.epochs
    others = [f"{method} {row.epochs}" for method, row in config.methods.items() if row.epochs not in (None, epochs)]
    return (
        f"Policy: {', '.join(config.policies)}. Protocol: {', '.join(config.protocols)}. Label set: {config.label_set}. "
        f"Probe: {PROBE_NAMES[config.probe.kinds[0]]}. Frames: {frames.pretrain} for encoders, {frames.probe} for probes. "
        f"Epochs at most: {epochs} for encoders{''.join(f', {other}' for other in others)}; {config.probe.epochs} for probes. "
        f"Seeds: {', '.join(map(str, config.seeds))}. ale-py {importlib.metadata.version('ale-py')}."
    )


def _spread(config: Config) -> str:
    return "Mean and standard deviation over seeds. " if len(config.seeds) > 1 else ""


def _games(table: pd.DataFrame) -> str:
    """How many games the blocks have, such as "2" or "2 and 22"."""
    return " and ".join(str(n) for n in sorted(set(table["games"])))


def _methods(table: pd.DataFrame) -> list[str]:
    """List the methods of a table, by the columns it has."""
    return [column for column in table.columns if f"{column}_paper" in table.columns]


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    """Every method's value, spread and published value as one text, such as "0.58±0.01 (0.81)"; a dash for a missing one."""
    none = pd.Series(float("nan"), table.index)
    columns = {}
    for method in _methods(table):
        numbers = zip(table[method], table.get(f"{method}_std", none), table[f"{method}_paper"], strict=True)
        columns[method] = [_cell(*three) for three in numbers]
    return pd.DataFrame(columns, index=table.index)


def _cell(ours: float, spread: float, published: float) -> str:
    if pd.isna(ours) and pd.isna(published):
        return DASH
    shown = DASH if pd.isna(ours) else f"{ours:.2f}"
    shown += "" if pd.isna(spread) else f"±{spread:.2f}"
    return f"{shown} ({DASH if pd.isna(published) else f'{published:.2f}'})"


def _numbers(values: pd.Series) -> list[str]:
    return [DASH if pd.isna(value) else f"{value:.2f}" for value in values]


def _parts(table: pd.DataFrame, row: str, names: dict[str, str], summary: int) -> list[latex.Part]:
    """Cut a table of scores into its blocks, rows named by the column ``row``, the last ``summary`` rows below a rule."""
    cells = _cells(table)
    cells.insert(0, row, table[row].replace(names))
    return blocks(table, cells, summary)


def blocks(table: pd.DataFrame, shown: pd.DataFrame, summary: int = 0) -> list[latex.Part]:
    """Cut ``shown``, the texts of ``table``, into the blocks of a table, the last ``summary`` rows of each below a rule."""
    parts = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        lines = shown.loc[rows.index].to_numpy().tolist()
        end = len(lines) - summary
        parts.append(latex.Part(f"Policy {policy}, protocol {protocol}", lines[:end], lines[end:]))
    return parts
