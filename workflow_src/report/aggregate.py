"""Scores averaged over games and seeds, for tables and figures alike.

Here a table is a DataFrame with a column for every (method, seed) of the configuration, in its
order, and with NaN where there is no score. A mean is never over fewer games or seeds than the
others of its table: it is NaN if one is missing.
"""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from workflow_src.ari.labels import CATEGORIES, variables
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report.names import listed
from workflow_src.seeds import generator

# Each (policy, protocol) of a run is a block of rows of a table, or a panel of a figure.
BLOCK = ["policy", "protocol"]
MEAN = "mean"  # over games, in place of a game's name
MEANS = ("mean_over_categories", "mean_over_variables", "mean_weighted")
TRIM = 0.25  # cut at either end, for the interquartile mean
RESAMPLES, CONFIDENCE = 2000, 0.95


def values(
    config: Config, scores: pd.DataFrame, level: str, metric: str, every_probe: bool = False
) -> pd.DataFrame:
    """One level and metric of the scores: columns (method, seed).

    Rows are (policy, protocol, name, game), where there is any score. Scores are those of each
    method's first probe, as in the paper's tables; with ``every_probe`` those of all, and the
    columns are (method, probe, seed). Protocols that the configuration does not name, such as the
    ledger's, are left out. `UserError` if the scores have another label set than the configuration.
    """
    others = sorted(set(scores["label_set"]) - {config.label_set})
    if others:
        raise UserError(
            f"the scores have label set {others[0]}, the configuration {config.label_set}: "
            "make them again"
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
    readouts = itertools.product(probes_of(config, every_probe), config.seeds)
    columns = pd.MultiIndex.from_tuples(
        [(method, probe, seed) for (method, probe), seed in readouts],
        names=["method", "probe", "seed"],
    )
    wide = wide.reindex(columns=columns).dropna(how="all")
    return wide if every_probe else wide.droplevel("probe", axis=1)


def probes_of(config: Config, every_probe: bool) -> list[tuple[str, str]]:
    """List (method, probe): each method's first probe, or with ``every_probe`` all."""
    found = []
    for method, row in config.methods.items():
        probes = row.probe_names(config.probe.kinds)
        found += [(method, probe) for probe in (probes if every_probe else probes[:1])]
    return found


def blocks(config: Config, **rows: list[str]) -> pd.MultiIndex:
    """The rows of a table: every (policy, protocol), or each with every entry of ``rows``."""
    axes = {"policy": list(config.policies), "protocol": list(config.protocols), **rows}
    return pd.MultiIndex.from_product(axes.values(), names=list(axes))


def by_game(
    config: Config,
    scores: pd.DataFrame,
    metric: str = "f1",
    level: str = MEANS[0],
    every_probe: bool = False,
) -> pd.DataFrame:
    """The mean over categories, or another of `MEANS`: all rows (policy, protocol, game)."""
    wide = values(config, scores, level, metric, every_probe).droplevel("name")
    return wide.reindex(blocks(config, game=config.games))


def over_games(games: pd.DataFrame) -> pd.DataFrame:
    """`by_game`, averaged over the games that any method has: rows (policy, protocol)."""
    return games.dropna(how="all").groupby(BLOCK).agg(lambda column: column.mean(skipna=False))


def with_mean(games: pd.DataFrame) -> pd.DataFrame:
    """`by_game`, followed by each block's mean over games as one more game, `MEAN`."""
    means = pd.concat({MEAN: over_games(games)}, names=["game"]).reorder_levels(games.index.names)
    return pd.concat([games, means])


def tidy_with_mean(config: Config, values: pd.DataFrame) -> pd.DataFrame:
    """Rows (policy, protocol, ..., game) as columns, followed by the mean over games as `MEAN`.

    Methods, categories and games are in the order of the configuration.
    """
    keys = list(values.index.names)
    means = values.groupby(level=keys[:-1], sort=False).mean()
    whole = pd.concat([values, pd.concat({MEAN: means}, names=keys[-1:]).reorder_levels(keys)])
    names = [*config.methods, *CATEGORIES, *config.games, MEAN]
    order = {name: place for place, name in enumerate(names)}
    return whole.reset_index().sort_values(
        keys,
        key=lambda column: column.map(lambda x: order.get(x, x)),
        kind="stable",
        ignore_index=True,
    )


def of_study(run: Config, scores: pd.DataFrame, study: str) -> pd.DataFrame:
    """`with_mean` of a study, given as a run.

    `UserError` if a game or seed is missing, since the runs would not be comparable.
    """
    games = by_game(run, scores)
    missing = []
    for (policy, protocol, game), row in games.iterrows():
        for method, seed in row.index[row.isna()]:
            missing.append(f"{protocol}/{method}/{game}/seed {seed} ({policy})")
    if missing:
        raise UserError(
            f"{study} needs every game and seed of its runs: "
            f"run the missing probes, {listed(missing)}"
        )
    return with_mean(games)


def by_category(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Each category's mean over the games that have it: rows (policy, protocol, category).

    NaN if a whole game is missing; that a game does not have a category is no gap, as the entropy
    filter can drop all its variables.
    """
    rows = blocks(config, category=list(CATEGORIES))
    found = values(config, scores, "category", metric).rename_axis(index={"name": "category"})
    means = found.groupby([*BLOCK, "category"]).mean().reindex(rows)
    complete = over_games(by_game(config, scores, metric)).notna()
    return means.where(complete.reindex(rows.droplevel("category"), fill_value=False).to_numpy())


def by_variable(
    config: Config, scores: pd.DataFrame, game: str, metric: str = "f1"
) -> pd.DataFrame:
    """Every annotated variable of a game: rows (policy, protocol, variable).

    NaN also where the entropy filter dropped the variable.
    """
    found = values(config, scores, "variable", metric)
    found = found[found.index.get_level_values("game") == game].droplevel("game")
    rows = blocks(config, variable=list(variables(config.label_set, game)))
    return found.rename_axis(index={"name": "variable"}).reindex(rows)


def over_seeds(wide: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and standard deviation (n - 1; NaN with a single seed) over the seeds.

    The rows of ``wide``, a column for each method.
    """
    parts = {method: wide[method] for method in wide.columns.unique("method")}
    mean = pd.DataFrame({method: part.mean(axis=1, skipna=False) for method, part in parts.items()})
    spread = pd.DataFrame(
        {method: part.std(axis=1, skipna=False) for method, part in parts.items()}
    )
    return mean, spread


def game_counts(config: Config, scores: pd.DataFrame) -> pd.Series:
    """How many games have a score, by (policy, protocol)."""
    games = by_game(config, scores).dropna(how="all").groupby(BLOCK).size()
    return games.reindex(blocks(config), fill_value=0)


def by_probe(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Each of `MEANS`, averaged over games and seeds: rows (policy, protocol, method, probe)."""
    readouts = itertools.product(blocks(config), probes_of(config, every_probe=True))
    rows = [(*block, *readout) for block, readout in readouts]
    index = pd.MultiIndex.from_tuples(rows, names=[*BLOCK, "method", "probe"])
    columns = {}
    for level in MEANS:
        games = by_game(config, scores, metric, level, every_probe=True)
        means = over_games(games).reindex(blocks(config))
        seeds = means.stack(["method", "probe"], future_stack=True)
        columns[level] = seeds.mean(axis=1, skipna=False).reindex(index)
    return pd.DataFrame(columns)


def interquartile_means(config: Config, scores: pd.DataFrame, metric: str = "f1") -> pd.DataFrame:
    """Interquartile mean over all runs and games: rows (policy, protocol, method).

    Columns: iqm, and the bounds ``low`` and ``high`` of its bootstrap interval, NaN with a single
    seed. A method without any score in a block is NaN there; `UserError` if it has only some of
    the (game, seed) of its block.
    """
    runs: dict[tuple[str, ...], pd.DataFrame] = {}
    missing: list[str] = []
    for block, part in by_game(config, scores, metric).groupby(BLOCK, sort=False):
        present = part.droplevel(BLOCK).dropna(how="all")
        for method in config.methods:
            found = present[method]
            if found.notna().any(axis=None):
                runs[*block, method] = found
                missing += _gaps(found, method, block)
    if missing:
        raise UserError(
            "interquartile means need every game of every seed: "
            f"run the missing probes, {listed(missing)}"
        )
    rows = blocks(config, method=list(config.methods))
    found = [
        interquartile_mean(runs[name].to_numpy(), generator(0, "iqm", *name))
        if name in runs
        else (np.nan,) * 3
        for name in rows
    ]
    return pd.DataFrame(found, rows, columns=["iqm", "low", "high"])


def _gaps(runs: pd.DataFrame, method: str, block: tuple[str, ...]) -> list[str]:
    """Name the runs (games × seeds) of a method that have no score."""
    found = []
    for game, row in runs.isna().iterrows():
        for seed in row.index[row]:
            found.append(f"{method}/{game}/seed {seed} ({', '.join(block)})")
    return found


def interquartile_mean(
    runs: np.ndarray, generator: np.random.Generator
) -> tuple[float, float, float]:
    """The interquartile mean of ``runs`` (games × seeds) and its interval, NaN with a single seed.

    The interval is a stratified percentile bootstrap: runs are resampled within each game.
    """
    import scipy.stats  # slow to import, and only used here

    return bootstrapped(runs, partial(scipy.stats.trim_mean, proportiontocut=TRIM), generator)


def bootstrapped(
    runs: np.ndarray, statistic: Callable[..., np.ndarray], generator: np.random.Generator
) -> tuple[float, float, float]:
    """A statistic of ``runs`` (games × seeds) and its interval, NaN with a single seed.

    ``statistic`` takes an array and an ``axis``, None for all of it.
    """
    import scipy.stats

    found = float(statistic(runs, axis=None))
    if runs.shape[1] == 1:
        return found, np.nan, np.nan

    def of_games(*games: np.ndarray, axis: int) -> np.ndarray:
        return statistic(np.concatenate(games, axis), axis=axis)

    interval = scipy.stats.bootstrap(
        tuple(runs),  # each game a sample of its own
        of_games,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=generator,  # named rng from scipy 1.15 on
    ).confidence_interval
    return found, interval.low, interval.high
