"""The paper's Tables 1 to 4 (arXiv 1906.08226) from our scores, with the published values beside ours, and some of our own.

The paper's tables show the first of each method's probes. Each table is one pure function that
makes the DataFrame of its CSV, and one that shows this DataFrame as LaTeX, which needs booktabs and
the T1 encoding. The CSV holds six decimals and nothing where there is no value; two decimals, the
dash and bold type are for display.
"""

import importlib.metadata
from pathlib import Path

import pandas as pd

from workflow_src import artifacts
from workflow_src.ari.labels import CATEGORIES, categories, variables
from workflow_src.config.run import Config
from workflow_src.report import aggregate, latex
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.names import CATEGORY_NAMES, DASH, METRIC_NAMES, PROBE_NAMES, method_name
from workflow_src.report.scores import read_csv, read_scores

PAPER = "arXiv 1906.08226"
REPORT = "NeurIPS 2019 Reproducibility Challenge"
TABLE1, TABLE2, TABLE3 = (
    "table1_variables_by_category",
    "table2_{metric}_by_game",
    "table3_{metric}_by_category",
)
TABLE4 = "table4_f1_by_variable"
IQM, BY_PROBE, REPRODUCTION = "iqm", "f1_by_probe", "reproduction_pong"
REFERENCE1 = "paper_table1_variables_by_category.csv"
REFERENCE2 = "paper_table2_f1_random_agent.csv"
REFERENCE3 = "paper_table3_f1_by_category.csv"
REFERENCE4 = "paper_table4_boxing_f1_by_variable.csv"
REFERENCE_PONG = "reproduction_report_pong.csv"
METRICS = ("f1", "accuracy")
# What else a method's columns hold, beside its mean over seeds.
STD, PUBLISHED, DIFFERENCE = "std", "paper", "difference"
OF_REPORT = "report"  # in the place of PUBLISHED, where it is the reproduction's
PUBLISHED_LABELS = "paper-2019"
# As close to the best of its row as this, a value is bold too: the paper does so.
TIE = 0.01


def write_tables(config: Config, scores: Path, reference: Path, out: Path) -> None:
    """Write the tables over all games as CSV and LaTeX into the folder ``out``; the reproduction's where Pong is a game.

    ``scores`` is scores.csv, ``reference`` the folder of the published numbers. `UserError` or
    `DamagedFile` when one of the files is missing, damaged, or of another label set.
    """
    ours = read_scores(scores)
    counts = read_csv(reference / REFERENCE1, text=["game"]).set_index("game")
    games = read_csv(reference / REFERENCE2, text=["game"]).set_index("game")
    groups = read_csv(reference / REFERENCE3, text=["category"]).set_index("category")
    table1 = variables_by_category(config, counts)
    iqm = interquartile_means(config, ours)
    by_probe = f1_by_probe(config, ours)
    made = {
        TABLE1: (table1, latex_variables_by_category(config, table1)),
        IQM: (iqm, latex_interquartile_means(config, iqm)),
        BY_PROBE: (by_probe, latex_f1_by_probe(config, by_probe)),
    }
    for metric in METRICS:
        # Accuracies were not published.
        table2 = by_game(config, ours, games if metric == "f1" else games.iloc[:, :0], metric)
        table3 = by_category(config, ours, groups if metric == "f1" else groups.iloc[:, :0], metric)
        made[TABLE2.format(metric=metric)] = table2, latex_by_game(config, table2, metric)
        made[TABLE3.format(metric=metric)] = (
            table3,
            latex_by_category(config, table3, metric, set(games.index) - {"mean"}),
        )
    if "pong" in config.games:
        pong = reproduction(
            config, ours, read_csv(reference / REFERENCE_PONG, text=["metric", "category"])
        )
        made[REPRODUCTION] = pong, latex_reproduction(config, pong)
    for name, (table, shown) in made.items():
        write(table, shown, out / name)


def write_table4(config: Config, game: str, scores: Path, reference: Path, out: Path) -> None:
    """Write the table of every variable of one game as CSV and LaTeX, whose endings ``out`` lacks; errors as above."""
    published = read_csv(reference / REFERENCE4, text=["variable"]).set_index("variable")
    # What was published is of Boxing.
    table = by_variable(
        config, read_scores(scores), game, published if game == "boxing" else published.iloc[:0, :0]
    )
    write(table, latex_by_variable(config, table, game), out)


def write(table: pd.DataFrame, shown: str, path: Path) -> None:
    """Write a table as CSV and as the LaTeX ``shown``, whose endings ``path`` lacks."""
    artifacts.write_text(
        path.with_name(f"{path.name}.csv"), table.round(6).to_csv(index=False, lineterminator="\n")
    )
    artifacts.write_text(path.with_name(f"{path.name}.tex"), shown)


# The tables as they stand in the CSV files. A method's columns are ``{method}``, ``{method}_std``
# if there are several seeds, ``{method}_paper`` (the published value), and ``{method}_difference``
# (ours less the published).


def variables_by_category(config: Config, published: pd.DataFrame) -> pd.DataFrame:
    """Table 1: how many annotated variables a game has in each category, and in all.

    Columns: game, the categories, overall; rows: the games, ``total``, and the published total as
    ``paper_total``. A variable can be in several categories, so ``overall`` is not always their
    sum.
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
    table.loc["paper_total"] = published.loc["total", table.columns].astype(int)
    return table.rename_axis("game").reset_index()


def by_game(
    config: Config, scores: pd.DataFrame, published: pd.DataFrame, metric: str = "f1"
) -> pd.DataFrame:
    """Table 2: a metric, mean over categories. One row per (policy, protocol, game) and a row ``mean`` after each block.

    Columns: policy, protocol, game, then each method's. The mean, ours and the published, is over
    the games that any method has.
    """
    games = aggregate.by_game(config, scores, metric)
    rows = aggregate.blocks(config, game=[*config.games, aggregate.MEAN])
    paper = _published(config, published, rows)
    for (policy, protocol), part in games.groupby(BLOCK):
        there = part.dropna(how="all").index.get_level_values("game")
        # The published mean itself where it is of the same games: it differs from the mean of the
        # rounded values.
        if _is_published(config, policy) and set(there) != set(published.index) - {"mean"}:
            same = published.reindex(index=there, columns=paper.columns)
            paper.loc[(policy, protocol, "mean"), :] = same.mean(skipna=False)
    return _beside(config, aggregate.with_mean(games).reindex(rows), paper)


def by_category(
    config: Config, scores: pd.DataFrame, published: pd.DataFrame, metric: str = "f1"
) -> pd.DataFrame:
    """Table 3: a metric by category, mean over the games that have the category. One row per (policy, protocol, category).

    Columns as in `by_game`, after ``games``: how many games there are in the block.
    """
    rows = aggregate.blocks(config, category=list(CATEGORIES))
    table = _beside(
        config, aggregate.by_category(config, scores, metric), _published(config, published, rows)
    )
    table.insert(
        3,
        "games",
        aggregate.game_counts(config, scores).reindex(rows.droplevel("category")).to_numpy(),
    )
    return table


def by_variable(
    config: Config, scores: pd.DataFrame, game: str, published: pd.DataFrame
) -> pd.DataFrame:
    """Table 4: F1 of every annotated variable of a game. One row per (policy, protocol, variable); columns as in `by_game`."""
    found = aggregate.by_variable(config, scores, config.game(game))
    return _beside(config, found, _published(config, published, found.index))


def reproduction(config: Config, scores: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Pong beside the reproduction report: one row per (policy, protocol, metric, category), of its methods and categories.

    Columns as in `by_game`, with ``{method}_report`` in the place of ``{method}_paper``. The
    report's mean is over these categories, which are all that Pong has.
    """
    parts = []
    for metric, theirs in published.groupby("metric", sort=False):
        theirs = theirs.drop(columns="metric").set_index("category")
        ours = aggregate.values(config, scores, "category", metric).rename_axis(
            index={"name": "category"}
        )
        ours = ours[ours.index.get_level_values("game") == "pong"].droplevel("game")
        means = aggregate.by_game(config, scores, metric)
        means = means[means.index.get_level_values("game") == "pong"].droplevel("game")
        means = pd.concat({"mean": means}, names=["category"]).reorder_levels(ours.index.names)
        rows = aggregate.blocks(config, category=list(theirs.index))
        table = _beside(
            config, pd.concat([ours, means]).reindex(rows), _published(config, theirs, rows)
        )
        table.insert(2, "metric", metric)
        parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    of_theirs = [c for c in table.columns if c.removesuffix(f"_{STD}") in published.columns]
    of_theirs += [
        f"{method}_{what}"
        for method in config.methods
        if method in published
        for what in (PUBLISHED, DIFFERENCE)
    ]
    table = table[[c for c in table.columns if c in {*BLOCK, "metric", "category", *of_theirs}]]
    return table.rename(
        columns={f"{method}_{PUBLISHED}": f"{method}_{OF_REPORT}" for method in config.methods}
    )


def interquartile_means(config: Config, scores: pd.DataFrame) -> pd.DataFrame:
    """Interquartile mean of F1 (mean over categories) over games and seeds. One row per (policy, protocol, method).

    Columns: policy, protocol, method, iqm, and the bounds of its interval, low and high, empty of a
    single seed.
    """
    return aggregate.interquartile_means(config, scores).reset_index()


def f1_by_probe(config: Config, scores: pd.DataFrame) -> pd.DataFrame:
    """F1 with every probe and every mean over variables. One row per (policy, protocol, method, probe).

    Columns after these: mean_over_categories, mean_over_variables, mean_weighted (categories by
    their number of variables), each averaged over games and seeds, and ``games``: how many there
    are in the block.
    """
    table = aggregate.by_probe(config, scores).reset_index()
    games = aggregate.game_counts(config, scores)
    return table.assign(games=games.reindex(pd.MultiIndex.from_frame(table[BLOCK])).to_numpy())


def _published(config: Config, published: pd.DataFrame, rows: pd.MultiIndex) -> pd.DataFrame:
    """Find the published values for ``rows``, by their last level, a column a method; NaN where there is none."""
    paper = (
        published.reindex(index=rows.get_level_values(-1), columns=list(config.methods))
        .set_index(rows)
        .astype(float)
    )
    paper[[not _is_published(config, policy) for policy in rows.get_level_values("policy")]] = (
        float("nan")
    )
    return paper


def _is_published(config: Config, policy: str) -> bool:
    """Whether the reference files speak of this policy: they hold what was read out of random agents' frames."""
    return config.policies[policy].kind == "random"


def _beside(config: Config, wide: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Ours, its spread if there is one, the published values and the differences side by side, method by method."""
    mean, spread = aggregate.over_seeds(wide)
    columns = {}
    for method in config.methods:
        columns[method] = mean[method]
        if len(config.seeds) > 1:
            columns[f"{method}_{STD}"] = spread[method]
        columns[f"{method}_{PUBLISHED}"] = paper[method]
        columns[f"{method}_{DIFFERENCE}"] = mean[method] - paper[method]
    return pd.DataFrame(columns).reset_index()


# The tables as a person reads them.


def render_table2(csv: Path) -> str:
    """Table 2 as plain text for the terminal, from its CSV; "0.58 (0.81)" is ours and, in parentheses, the published."""
    table = read_csv(csv, text=[*BLOCK, "game"])
    none = pd.Series(float("nan"), table.index)
    cells = pd.DataFrame(
        {
            method_name(method): [
                _cell(*three)
                for three in zip(
                    table[method],
                    table.get(f"{method}_{STD}", none),
                    table[f"{method}_{PUBLISHED}"],
                    strict=True,
                )
            ]
            for method in _methods(table)
        },
        index=table.index,
    )
    shown = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        body = cells.loc[rows.index].set_axis(rows["game"], axis=0).rename_axis(None)
        shown.append(
            f"F1, policy {policy}, protocol {protocol}; in parentheses: {PAPER}\n{body.to_string()}\n"
        )
    return "\n".join(shown)


def latex_variables_by_category(config: Config, table: pd.DataFrame) -> str:
    """Table 1 as LaTeX."""
    caption = (
        f"State variables by category in label set {config.label_set}; a variable can be in several, or in none. "
        f"The published total ({PAPER}) is of 22 games in label set paper-2019. {versions()}"
    )
    names = {"game": "Game", **CATEGORY_NAMES, "overall": "Overall"}
    totals = {"total": "Total", "paper_total": "Published total"}
    body = table.replace({"game": totals}).astype(str).to_numpy().tolist()
    return latex.table(
        TABLE1, caption, [names[c] for c in table.columns], [latex.Part("", body[:-2], body[-2:])]
    )


def latex_by_game(config: Config, table: pd.DataFrame, metric: str = "f1") -> str:
    """Table 2 as LaTeX."""
    caption = (
        f"Probe {METRIC_NAMES[metric]} by game, mean over categories. Means, ours and published, are over the games that were "
        f"run in their block. {_note(config, table)}"
    )
    parts = _parts(config, table, "game", {"mean": "Mean"}, summary=1)
    return latex.table(
        TABLE2.format(metric=metric), caption, ["Game", *map(method_name, _methods(table))], parts
    )


def latex_by_category(config: Config, table: pd.DataFrame, metric: str, published: set[str]) -> str:
    """Table 3 as LaTeX; the caption says so when ours are not means over the games ``published``."""
    caption = (
        f"Probe {METRIC_NAMES[metric]} by category, mean over the games that have the category. "
    )
    other_games = set(config.games) != published or (table["games"] != len(published)).any()
    if other_games and _has_published(table):
        caption += f"Not comparable: the published values are means over other games ({len(published)}) than ours ({_games(table)}). "
    parts = _parts(config, table, "category", CATEGORY_NAMES)
    head = ["Category", *map(method_name, _methods(table))]
    return latex.table(TABLE3.format(metric=metric), caption + _note(config, table), head, parts)


def latex_by_variable(config: Config, table: pd.DataFrame, game: str) -> str:
    """Table 4 of a game as LaTeX."""
    caption = (
        f"Probe F1 of every variable of {game}; a dash where the entropy filter ({config.splits.min_entropy:g} nats) dropped "
        f"the variable, or nothing was run. {_note(config, table)}"
    )
    head = ["Variable", *map(method_name, _methods(table))]
    return latex.table(f"{TABLE4}-{game}", caption, head, _parts(config, table, "variable"))


def latex_reproduction(config: Config, table: pd.DataFrame) -> str:
    """Pong beside the reproduction report as LaTeX."""
    table = table.rename(
        columns={f"{method}_{OF_REPORT}": f"{method}_{PUBLISHED}" for method in config.methods}
    )
    caption = (
        f"Pong, read out here and in the report of an independent reproduction ({REPORT}; one run, random agents). "
        f"{_note(config, table, 'the report')}"
    )
    names = CATEGORY_NAMES | {"mean": "Mean"}
    parts = [
        part._replace(title=f"{METRIC_NAMES[metric].capitalize()}: {part.title}")
        for metric, rows in table.groupby("metric", sort=False)
        for part in _parts(config, rows.drop(columns="metric"), "category", names, 1, "The report")
    ]
    return latex.table(
        REPRODUCTION, caption, ["Category", *map(method_name, _methods(table))], parts
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
        f"their number of variables; mean over games and seeds. {setting(config, probe=False)}"
    )
    # A method is named in its first row alone.
    repeated = table.duplicated([*BLOCK, "method"])
    shown = table.drop(columns=BLOCK).assign(
        method=table["method"].map(method_name).mask(repeated, ""),
        probe=table["probe"].map(PROBE_NAMES),
        **{level: _numbers(table[level]) for level in aggregate.MEANS},
        games=table["games"].astype(str),
    )
    header = [
        "Method",
        "Probe",
        "Mean over categories",
        "Mean over variables",
        "Weighted mean",
        "Games",
    ]
    return latex.table(BY_PROBE, caption, header, blocks(table, shown), left=2)


def setting(config: Config, probe: bool = True) -> str:
    """How the scores were made: the end of a caption; of a table with several kinds of probes, without one."""
    frames, epochs = config.episodes.frames, config.training.epochs
    others = [
        f"{method} {row.epochs}"
        for method, row in config.methods.items()
        if row.epochs not in (None, epochs)
    ]
    read_out = f"Probe: {PROBE_NAMES[config.probe.kinds[0]]}. " if probe else ""
    return (
        f"Policy: {', '.join(config.policies)}. Protocol: {', '.join(config.protocols)}. Label set: {config.label_set}. "
        f"{read_out}Frames: {frames.pretrain} for encoders, {frames.probe} for probes. "
        f"Epochs at most: {epochs} for encoders{''.join(f', {other}' for other in others)}; {config.probe.epochs} for probes. "
        f"Seeds: {', '.join(map(str, config.seeds))}. {versions()}"
    )


def versions() -> str:
    """The versions that decide what a table says; a local part, such as +cpu, is the same program."""
    found = [
        f"{name} {importlib.metadata.version(name).partition('+')[0]}"
        for name in ("workflow-src", "ale-py", "torch")
    ]
    return f"Versions: {', '.join(found)}."


def _note(
    config: Config,
    table: pd.DataFrame,
    source: str = f"the paper ({PAPER}: label set paper-2019, random agents)",
) -> str:
    """What the values are, beside the published if any are in ``table``, and how they were made."""
    spread = "Ours are means and standard deviations over seeds. " if len(config.seeds) > 1 else ""
    published = (
        f"Published values are of {source}. "
        if _has_published(table)
        else "No values were published. "
    )
    published += (
        f"{other_labels(config)} " if _has_published(table) and other_labels(config) else ""
    )
    with_labels = [method_name(method) for method in _methods(table) if _has_labels(config, method)]
    but = (
        f", {' and '.join(with_labels)} aside, which learned from the labels" if with_labels else ""
    )
    bold = f"Bold: the best of its row as shown, and what is within {TIE:g} of it{but}. "
    return f"{spread}{published}{bold}{setting(config)}"


def other_labels(config: Config) -> str:
    """Say so where ours are of another label set than the published; else nothing."""
    if config.label_set == PUBLISHED_LABELS:
        return ""
    return f"Not comparable: ours are of label set {config.label_set}, the published of {PUBLISHED_LABELS}."


def _has_labels(config: Config, method: str) -> bool:
    """Whether a method learns from the labels that are read out: it is no competitor of those that do not."""
    return config.methods[method].learns_from == "probe"


def _has_published(table: pd.DataFrame) -> bool:
    return bool(
        table[[f"{method}_{PUBLISHED}" for method in _methods(table)]].notna().any(axis=None)
    )


def _games(table: pd.DataFrame) -> str:
    """How many games the blocks have, such as "2" or "2 and 22"."""
    return " and ".join(str(n) for n in sorted(set(table["games"])))


def _methods(table: pd.DataFrame) -> list[str]:
    """List the methods of a table, by the columns it has."""
    return [column for column in table.columns if f"{column}_{PUBLISHED}" in table.columns]


def _cell(ours: float, spread: float, published: float) -> str:
    if pd.isna(ours) and pd.isna(published):
        return DASH
    return f"{number(ours, spread)} ({number(published)})"


def number(value: float, spread: float = float("nan")) -> str:
    """A value as text, with its spread unless that is NaN; a dash for NaN."""
    return (DASH if pd.isna(value) else f"{value:.2f}") + (
        "" if pd.isna(spread) else f"±{spread:.2f}"
    )


def _numbers(values: pd.Series) -> list[str]:
    return [number(value) for value in values]


def _parts(
    config: Config,
    table: pd.DataFrame,
    row: str,
    names: dict[str, str] | None = None,
    summary: int = 0,
    source: str = f"Published ({PAPER})",
) -> list[latex.Part]:
    """A table of scores as blocks: ours, what was published, and the differences.

    Rows are named by the column ``row``, through ``names``; the last ``summary`` rows of a block
    stand below a rule.
    """
    methods = _methods(table)
    published = table[[f"{method}_{PUBLISHED}" for method in methods]].set_axis(methods, axis=1)
    differences = table[[f"{method}_{DIFFERENCE}" for method in methods]].set_axis(methods, axis=1)
    parts, seen = [], []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        title = f"Policy {policy}, protocol {protocol}"
        labels = rows[row].replace(names or {})
        spread = pd.DataFrame(
            {method: rows.get(f"{method}_{STD}") for method in methods}, index=rows.index
        ).astype(float)

        def part(title: str, shown: pd.DataFrame, labels: pd.Series = labels) -> latex.Part:
            lines = [
                [label, *cells]
                for label, cells in zip(labels, shown.to_numpy().tolist(), strict=True)
            ]
            return latex.Part(title, lines[: len(lines) - summary], lines[len(lines) - summary :])

        parts.append(part(title, _bold(config, rows[methods], spread)))
        theirs = published.loc[rows.index]
        if theirs.isna().all(axis=None):
            continue
        # Protocols are compared with the same values, which are shown once, unless they are means
        # over other games.
        if not any(theirs.reset_index(drop=True).equals(other) for other in seen):
            seen.append(theirs.reset_index(drop=True))
            parts.append(part(source, _bold(config, theirs)))
        shown = differences.loc[rows.index].map(
            lambda d: DASH if pd.isna(d) else f"{d:+.2f}".replace("-", "−")
        )
        parts.append(part(f"Difference, {title[0].lower()}{title[1:]}", shown))
    return parts


def _bold(config: Config, values: pd.DataFrame, spread: pd.DataFrame | None = None) -> pd.DataFrame:
    """Values as texts, the best of each row in bold, of those whose method does not learn from the labels."""
    best = values[[method for method in values if not _has_labels(config, method)]].max(axis=1)
    return pd.DataFrame(
        {
            method: [
                latex.Bold(text)
                if not _has_labels(config, method) and round(top, 2) - round(value, 2) < TIE + 1e-9
                else text
                for value, top, text in zip(
                    values[method],
                    best,
                    map(
                        number,
                        values[method],
                        [float("nan")] * len(values) if spread is None else spread[method],
                    ),
                    strict=True,
                )
            ]
            for method in values
        },
        index=values.index,
        dtype=object,  # else pandas would make plain text of it
    )


def blocks(table: pd.DataFrame, shown: pd.DataFrame, summary: int = 0) -> list[latex.Part]:
    """Cut ``shown``, the texts of ``table``, into the blocks of a table, the last ``summary`` rows of each below a rule."""
    parts = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        lines = shown.loc[rows.index].to_numpy().tolist()
        end = len(lines) - summary
        parts.append(latex.Part(f"Policy {policy}, protocol {protocol}", lines[:end], lines[end:]))
    return parts
