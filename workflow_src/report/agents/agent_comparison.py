"""Agents over all games: interquartile mean, median, mean and optimality gap."""

import numpy as np
import pandas as pd
import scipy.stats

from workflow_src.config.run import Config
from workflow_src.report import latex as typesetting
from workflow_src.report.agents.comparing import (
    NO_GAME,
    OURS,
    contenders,
    interval,
    optimality_gap,
)
from workflow_src.report.agents.data import AgentData
from workflow_src.report.aggregate import CONFIDENCE, TRIM
from workflow_src.report.names import DASH
from workflow_src.report.tables.captions import versions_note

COLUMNS = ["agent", "protocol", "frames", "source", "games", "seeds", "iqm", "iqm_low", "iqm_high"]
COLUMNS += ["median", "mean", "gap", "gap_low", "gap_high"]


def table(config: Config, data: AgentData) -> pd.DataFrame:
    """One row for each agent of the run and each published one that has all of its games.

    Bounds, ``low`` and ``high``, are NaN with a single seed. No row where no game of the run has
    reference scores.
    """
    rows = []
    for one in contenders(config, data):
        names = (one.agent, one.protocol, str(one.frames))
        iqm = interval(one.scores, _iqm, "iqm", *names)
        gap = interval(one.scores, optimality_gap, "gap", *names)
        rows.append(
            {
                **{name: getattr(one, name) for name in ("agent", "protocol", "frames", "source")},
                "games": one.scores.shape[0],
                "seeds": one.scores.shape[1],
                **dict(zip(("iqm", "iqm_low", "iqm_high"), iqm, strict=True)),
                "median": float(np.median(one.scores.mean(1))),
                "mean": float(one.scores.mean()),
                **dict(zip(("gap", "gap_low", "gap_high"), gap, strict=True)),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _iqm(scores: np.ndarray, axis: int | None = None) -> np.ndarray:
    return scipy.stats.trim_mean(scores, TRIM, axis)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX: ours first."""
    games = len(config.games)
    caption = (
        "Human-normalised scores over games (random play is 0, a human tester 1): interquartile "
        "mean over games and seeds, median and mean of the games' means, and optimality gap, which "
        f"is better the lower it is. Intervals: {CONFIDENCE:.0%}, bootstrap over seeds within "
        f"games (Agarwal et al. 2021), where there are several. {games} games, of which those "
        "count that have both reference scores. Published agents: single scores by game, with the "
        f"protocols and frames named. {versions_note()}"
    )
    parts = []
    for title, ours in (("This run", True), ("Published", False)):
        rows = table[(table["source"] == OURS) == ours]
        if len(rows):
            parts.append(typesetting.Part(title, [_line(row) for _, row in rows.iterrows()], []))
    header = ["Agent", "Protocol", "Frames", "Seeds", "IQM", "Median", "Mean", "Gap"]
    parts = parts or [typesetting.Part(NO_GAME, [[DASH] * len(header)], [])]
    return typesetting.typeset("agent_comparison", caption, header, parts, left=2)


def _line(row: pd.Series) -> list[str]:
    return [
        row["agent"],
        row["protocol"],
        f"{row['frames'] / 1e6:.3g}M",
        str(row["seeds"]),
        _with_bounds(row, "iqm"),
        f"{row['median']:.2f}",
        f"{row['mean']:.2f}",
        _with_bounds(row, "gap"),
    ]


def _with_bounds(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.2f}" + ("" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]")
