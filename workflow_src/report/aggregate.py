"""Scores averaged over games and seeds, for tables and figures alike.

Here a table is a DataFrame with a column for every (method, seed) of the configuration, in its
order, and with NaN where there is no score. A mean is never taken over fewer games or seeds than
its neighbours: it is NaN when one is missing.
"""

import numpy as np
import pandas as pd
import scipy.stats

from workflow_src.ari.labels import CATEGORIES, variables
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report.names import listed
from workflow_src.seeds import generator

# What one table can hold several of: each (policy, protocol) is a block of rows, or a panel.
BLOCK = ["policy", "protocol"]
MEAN = "mean"  # of games, where a game could stand
MEANS = ("mean_over_categories", "mean_over_variables", "mean_weighted")
TRIM = 0.25  # of each side, for the interquartile mean
RESAMPLES, CONFIDENCE = 2000, 0.95


def values(
    config: Config, scores: pd.DataFrame, level: str, metric: str, every_probe: bool = False
) -> pd.DataFrame:
    """One level and metric of the scores: rows (policy, protocol, name, game) where there is any, columns (method, seed).

    Of each method's probes only the first, which is the one of the paper's tables; with
    ``every_probe`` all of them, and the columns are (method, probe, seed). Protocols that the
    configuration does not name, as the ledger's, are left out. `UserError` when the scores are of
    another label set than the configuration's.
    """
    others = sorted(set(scores["label_set"]) - {config.label_set})
    if others:
        raise UserError(
            f"the scores are of label set {others[0]}, the configuration says {config.label_set}: make them again"
        )
    wanted = (
        (scores["level"] == level)
        & (scores["metric"] == metric)
        & scores["game"].isin(config.games)
    )
    wanted &= scores["protocol"].isin(config.protocols)
    wide = scores[wanted].pivot(
        index=[*BLOCK, "name", "game"], columns=["method", "probe", "seed"], values="value"
    )
    columns = pd.MultiIndex.from_tuples(
        [
            (method, probe, seed)
            for method, probe in readouts(config, every_probe)
            for seed in config.seeds
        ],
        names=["method", "probe", "seed"],
    )
    wide = wide.reindex(columns=columns).dropna(how="all")
    return wide if every_probe else wide.droplevel("probe", axis=1)


def readouts(config: Config, every_probe: bool) -> list[tuple[str, str]]:
    """List (method, probe): each method's first probe, or with ``every_probe`` all."""
    found = {method: row.probe_names(config.probe.kinds) for method, row in config.methods.items()}
    return [
        (method, probe)
        for method, probes in found.items()
        for probe in (probes if every_probe else probes[:1])
    ]


def blocks(config: Config, **rows: list[str]) -> pd.MultiIndex:
    """Make the rows of a table: every (policy, protocol), or each of these with every entry of the axis in ``rows``."""
    axes = {"policy": list(config.policies), "protocol": list(config.protocols), **rows}
    return pd.MultiIndex.from_product(axes.values(), names=list(axes))


def by_game(
    config: Config,
    scores: pd.DataFrame,
    metric: str = "f1",
    level: str = MEANS[0],
    every_probe: bool = False,
) -> pd.DataFrame:
    """Take the mean over categories, or another of `MEANS`: rows (policy, protocol, game) for all of the configuration."""
    wide = values(config, scores, level, metric, every_probe).droplevel("name")
    return wide.reindex(blocks(config, game=config.games))


def over_games(games: pd.DataFrame) -> pd.DataFrame:
    """Average `by_game` over the games that any method has: rows (policy, protocol)."""
    return games.dropna(how="all").groupby(BLOCK).agg(lambda column: column.mean(skipna=False))


def with_mean(games: pd.DataFrame) -> pd.DataFrame:
    """`by_game`, and after it each block's mean over games as one more game, `MEAN`."""
    means = pd.concat({MEAN: over_games(games)}, names=["game"]).reorder_levels(games.index.names)
    return pd.concat([games, means])


def of_study(run: Config, scores: pd.DataFrame, study: str) -> pd.DataFrame:
    """`with_mean` of a study, seen as a run; `UserError` when any game or seed lacks, as its parts would not compare."""
    games = by_game(run, scores)
    missing = [
        f"{protocol}/{method}/{game}/seed {seed} ({policy})"
        for (policy, protocol, game), row in games.iterrows()
        for method, seed in row.index[row.isna()]
    ]
    if missing:
        raise UserError(
            f"{study} needs every game and seed of its base and of what is derived; missing are {listed(missing)}"
        )
    return with_mean(games)


def by_category(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Average categories over the games that have them: rows (policy, protocol, category).

    The entropy filter can leave a game without a category, so only the games as wholes can be
    missing.
    """
    rows = blocks(config, category=list(CATEGORIES))
    found = values(config, scores, "category", metric).rename_axis(index={"name": "category"})
    means = found.groupby([*BLOCK, "category"]).mean().reindex(rows)
    complete = over_games(by_game(config, scores, metric)).notna()
    return means.where(complete.reindex(rows.droplevel("category"), fill_value=False).to_numpy())


def by_variable(
    config: Config, scores: pd.DataFrame, game: str, metric: str = "f1"
) -> pd.DataFrame:
    """Every annotated variable of a game: rows (policy, protocol, variable); NaN also where the entropy filter dropped it."""
    found = values(config, scores, "variable", metric)
    found = found[found.index.get_level_values("game") == game].droplevel("game")
    rows = blocks(config, variable=list(variables(config.label_set, game)))
    return found.rename_axis(index={"name": "variable"}).reindex(rows)


def over_seeds(wide: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and standard deviation (n - 1; NaN of a single seed) over the seeds: the rows of ``wide``, a column a method."""
    parts = {method: wide[method] for method in wide.columns.unique("method")}
    mean = pd.DataFrame({method: part.mean(axis=1, skipna=False) for method, part in parts.items()})
    spread = pd.DataFrame(
        {method: part.std(axis=1, skipna=False) for method, part in parts.items()}
    )
    return mean, spread


def game_counts(config: Config, scores: pd.DataFrame) -> pd.Series:
    """How many games any method has, by (policy, protocol)."""
    games = by_game(config, scores).dropna(how="all").groupby(BLOCK).size()
    return games.reindex(blocks(config), fill_value=0)


def by_probe(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Average each of `MEANS` over games and seeds: rows (policy, protocol, method, probe), a column a mean."""
    rows = [
        (*block, *readout)
        for block in blocks(config)
        for readout in readouts(config, every_probe=True)
    ]
    index = pd.MultiIndex.from_tuples(rows, names=[*BLOCK, "method", "probe"])
    columns = {}
    for level in MEANS:
        means = over_games(by_game(config, scores, metric, level, every_probe=True)).reindex(
            blocks(config)
        )
        seeds = means.stack(["method", "probe"], future_stack=True)
        columns[level] = seeds.mean(axis=1, skipna=False).reindex(index)
    return pd.DataFrame(columns)


def interquartile_means(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Interquartile mean over all runs and games: rows (policy, protocol, method), columns iqm, low, high.

    ``low`` and ``high`` bound the bootstrap interval, NaN of a single seed. A method without any
    score in a block is NaN there; `UserError` when one lacks only some of the (game, seed) that its
    block has.
    """
    runs: dict[tuple[str, ...], pd.DataFrame] = {}
    missing = []
    for block, part in by_game(config, scores, metric).groupby(BLOCK, sort=False):
        there = part.droplevel(BLOCK).dropna(how="all")
        for method in config.methods:
            lacking = there[method].isna()
            if not lacking.all(axis=None):
                runs[*block, method] = there[method]
                missing += [
                    f"{method}/{game}/seed {seed} ({', '.join(block)})"
                    for game, row in lacking.iterrows()
                    for seed in row.index[row]
                ]
    if missing:
        raise UserError(
            f"interquartile means need every game of every seed; make the probes that lack: {listed(missing)}"
        )
    rows = blocks(config, method=list(config.methods))
    found = [
        _interquartile_mean(runs[name].to_numpy(), generator(0, "iqm", *name))
        if name in runs
        else (np.nan,) * 3
        for name in rows
    ]
    return pd.DataFrame(found, rows, columns=["iqm", "low", "high"])


def _interquartile_mean(
    runs: np.ndarray, generator: np.random.Generator
) -> tuple[float, float, float]:
    """The interquartile mean of ``runs`` (games × seeds) with its interval, NaN of a single seed.

    The interval is the percentile bootstrap's, stratified: runs are drawn anew within each game.
    """
    mean = scipy.stats.trim_mean(runs, TRIM, axis=None)
    if runs.shape[1] == 1:
        return mean, np.nan, np.nan

    def statistic(*games: np.ndarray, axis: int) -> np.ndarray:
        return scipy.stats.trim_mean(np.concatenate(games, axis), TRIM, axis)

    interval = scipy.stats.bootstrap(
        tuple(runs),  # each game a sample of its own
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=generator,  # scipy before 1.15 does not know it as rng
    ).confidence_interval
    return mean, interval.low, interval.high
