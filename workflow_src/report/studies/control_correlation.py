"""Whether F1 of an encoder predicts the score of an agent that sees through it.

Spearman's rank correlation over methods, within a game, of means over seeds; then its mean over
games. Intervals are percentile bootstraps that draw methods again, for all games alike; p-values
permute the methods of each game.
"""

import itertools
import math

import numpy as np
import pandas as pd
import scipy.stats

from workflow_src.config.run import Config
from workflow_src.report.aggregate import CONFIDENCE, RESAMPLES
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import CATEGORY_NAMES, DASH
from workflow_src.report.studies.control import MEAN, ControlData, cells, how_learned
from workflow_src.seeds import generator

_PERMUTATIONS = 10_000
_LEAST = 3  # methods with a rank correlation worth the name


def table(config: Config, data: ControlData) -> pd.DataFrame:
    """One row for the mean over categories and for each category.

    Columns: category, correlation, low, high, p_value, methods, games (that have the category).
    Empty where fewer than three methods, or no game, have both.
    """
    made = cells(config, data).groupby(["method", "game"]).mean()
    methods = config.derived.control.methods
    rows = []
    for category in [MEAN, *(name for name in CATEGORY_NAMES if name in made.columns)]:
        wide = made[category].unstack("game").reindex(index=methods)
        games = [game for game in config.games if wide[game].notna().all()]
        f1 = wide[games].to_numpy().T
        score = made["score"].unstack("game").reindex(index=methods)[games].to_numpy().T
        row = {"category": category, "correlation": np.nan, "low": np.nan, "high": np.nan}
        row |= {"p_value": np.nan, "methods": len(methods), "games": len(games)}
        if len(methods) >= _LEAST and games:
            rng = generator(0, "control", category)
            found = float(correlation(f1, score))
            low, high = interval(f1, score, rng)
            row |= {"correlation": found, "low": low, "high": high}
            row["p_value"] = p_value(f1, score, rng)
        rows.append(row)
    return pd.DataFrame(rows)


def correlation(f1: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Mean over games of Spearman's correlation: arrays (..., games, methods) -> (...).

    A game in which either is the same for all methods counts as 0.
    """
    ranks = [scipy.stats.rankdata(values, axis=-1) for values in (f1, score)]
    a, b = (rank - rank.mean(-1, keepdims=True) for rank in ranks)
    sizes = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    found = np.divide((a * b).sum(-1), sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return found.mean(-1)


def interval(f1: np.ndarray, score: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Bounds of the bootstrap interval over methods, of arrays (games, methods)."""
    drawn = rng.integers(f1.shape[1], size=(RESAMPLES, f1.shape[1]))
    found = correlation(*(values[:, drawn].swapaxes(0, 1) for values in (f1, score)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def p_value(f1: np.ndarray, score: np.ndarray, rng: np.random.Generator) -> float:
    """How often a correlation as strong, of either sign, comes of permuted methods.

    All permutations where there are at most 10,000, else as many at random.
    """
    games, methods = f1.shape
    if math.factorial(methods) ** games <= _PERMUTATIONS:
        orders = list(itertools.permutations(range(methods)))
        order = np.array(list(itertools.product(orders, repeat=games)))
    else:
        order = rng.permuted(
            np.broadcast_to(np.arange(methods), (_PERMUTATIONS, games, methods)), axis=-1
        )
    permuted = np.take_along_axis(np.broadcast_to(score, order.shape), order, axis=-1)
    found = correlation(np.broadcast_to(f1, order.shape), permuted)
    return float((np.abs(found) >= abs(correlation(f1, score)) - 1e-9).mean())


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX."""
    caption = (
        "Rank correlation (Spearman), over encoders within a game, of F1 and the score of the "
        f"agent that sees through each; mean over games, {CONFIDENCE:.0%} bootstrap interval over "
        f"encoders, p-value by permutation. {how_learned(config)}"
    )
    lines = [
        [
            "Mean over categories" if row["category"] == MEAN else CATEGORY_NAMES[row["category"]],
            DASH if pd.isna(row["correlation"]) else f"{row['correlation']:.2f}",
            DASH if pd.isna(row["low"]) else f"[{row['low']:.2f}, {row['high']:.2f}]",
            DASH if pd.isna(row["p_value"]) else f"{row['p_value']:.2f}",
            str(row["games"]),
        ]
        for _, row in table.iterrows()
    ]
    header = ["F1 of", "Correlation", "Interval", "p", "Games"]
    return typeset("control_correlation", caption, header, [Part("", lines, [])])
