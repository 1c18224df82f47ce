"""Frames by policy: how much there is to learn in the frames that each policy played."""

from pathlib import Path
from typing import Any

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report.aggregate import MEAN
from workflow_src.report.files import write_table
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import DASH
from workflow_src.report.tables.captions import versions_note

_MEASURES = ["frames", "distinct", "duplicates", "kept", "annotated", "entropy"]
_MEASURES += ["games", "game_length", "reward"]


def write_frames_by_policy(config: Config, rows: list[dict[str, Any]], out: Path) -> None:
    """Write the table of `splits.describe`'s rows; ``out`` has no extension."""
    found = table(config, pd.DataFrame(rows))
    write_table(found, latex(config, found), out)


def table(config: Config, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by (policy, game), averaged over seeds; ``mean`` is the last game."""
    means = rows.groupby(["policy", "game"])[_MEASURES].mean()
    found = []
    for policy in config.policies:
        of_policy = means.loc[policy].reindex(config.games)
        of_policy.loc[MEAN] = of_policy.mean()
        found.append(of_policy.rename_axis("game").reset_index().assign(policy=policy))
    return pd.concat(found, ignore_index=True)[["policy", "game", *_MEASURES]]


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX."""
    protocol = next(iter(config.protocols))
    seeds = "one seed" if len(config.seeds) == 1 else f"means of {len(config.seeds)} seeds"
    caption = (
        "The probe's frames by the policy that played them: how many of them are distinct; how "
        "many test frames occur in train or validation, before those are dropped; how many "
        f"annotated variables have an entropy of at least {config.splits.min_entropy} nats, and "
        "the mean entropy of all; finished games, with their mean length in steps and raw reward. "
        f"Protocol: {protocol}. Label set: {config.label_set}; {seeds}. {versions_note()}"
    )
    parts = []
    for policy, rows in table.groupby("policy", sort=False):
        lines = [_line(row) for _, row in rows.iterrows()]
        parts.append(Part(f"Policy {policy}", lines[:-1], lines[-1:]))
    header = ["Game", "Frames", "Distinct", "Duplicates", "Variables", "Entropy", "Games"]
    return typeset("frames_by_policy", caption, [*header, "Steps", "Reward"], parts)


def _line(row: pd.Series) -> list[str]:
    return [
        "Mean" if row["game"] == MEAN else str(row["game"]),
        f"{row['frames']:,.0f}",
        f"{row['distinct']:.1%}",
        f"{row['duplicates']:.1%}",
        f"{row['kept']:.3g} of {row['annotated']:.3g}",
        f"{row['entropy']:.2f}",
        f"{row['games']:.0f}",
        *(
            DASH if pd.isna(row[name]) else f"{row[name]:,.1f}"
            for name in ("game_length", "reward")
        ),
    ]
