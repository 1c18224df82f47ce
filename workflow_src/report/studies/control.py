"""Control: scores of agents that see through frozen encoders, beside F1 of these encoders.

Each agent learns the layers after the features, with the same settings for all methods. The score
is the mean raw return of whole games with the last weights.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.config.studies import ControlStudy
from workflow_src.errors import UserError
from workflow_src.report.agents.data import AgentData, read_games
from workflow_src.report.data import Data, read_data
from workflow_src.report.figures import style
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import DASH, listed, method_name
from workflow_src.report.tables.captions import versions_note
from workflow_src.report.tables.rendering import score_text

MEAN = "mean"  # over categories, in place of a category


@dataclass(frozen=True)
class ControlData(Data):
    """Scores of probes, and the games that agents played."""

    agents: AgentData | None = None


def read_control(scores: Path, evaluations: Iterable[Path], reference: Path) -> ControlData:
    """Read what the study is made from; `UserError` or `DamagedFile` as of the readers."""
    probes = read_data(scores, reference)
    return ControlData(probes.scores, reference, read_games(evaluations, reference))


def cells(config: Config, data: ControlData) -> pd.DataFrame:
    """Each encoder's F1 and its agent's score: rows (method, game, seed).

    Columns: score, human_normalised, ``mean`` and a category each (NaN where the game has none).
    `UserError` if a probe or an agent of a game and seed is missing.
    """
    study = config.derived.control
    assert data.agents is not None
    wanted = data.scores["level"].isin(["category", "mean_over_categories"])
    wanted &= (data.scores["metric"] == "f1") & (data.scores["protocol"] == study.base)
    wanted &= data.scores["policy"] == next(iter(config.policies))
    found = data.scores[wanted]
    name = found["name"].where(found["level"] == "category", MEAN)
    f1 = found.assign(name=name).pivot(
        index=["method", "game", "seed"], columns="name", values="value"
    )
    games = data.agents.games[data.agents.games["weights"] == "last"]
    finished = games["finished"].astype(bool)
    runs = [games[column] for column in ("agent", "game", "seed")]
    games = games[finished | ~finished.groupby(runs).transform("any")]
    methods = {ControlStudy.agent_of(method): method for method in study.methods}
    scores = games.assign(method=games["agent"].map(methods))
    score = scores.groupby(["method", "game", "seed"])["score"].mean()
    rows = pd.MultiIndex.from_product(
        [study.methods, config.games, config.seeds], names=["method", "game", "seed"]
    )
    made = f1.reindex(rows)
    made.insert(0, "score", score.reindex(rows))
    missing = made.index[made[["score", MEAN]].isna().any(axis=1)]
    if len(missing):
        names = ["/".join(map(str, row)) for row in missing]
        raise UserError(
            f"the control study needs a probe and an agent of every method, game and seed: run "
            f"{listed(names)}"
        )
    normal = [data.agents.normalised(row["score"], key[1]) for key, row in made.iterrows()]
    made.insert(1, "human_normalised", normal)
    return made


def table(config: Config, data: ControlData) -> pd.DataFrame:
    """One row for each (game, method): means over seeds.

    Columns: game, method, f1 (mean over categories), f1_std, a category each, score, score_std
    (over seeds, empty with a single one), human_normalised, random and human (reference scores).
    """
    assert data.agents is not None
    made = cells(config, data)
    names = [name for name in made.columns if name not in ("score", "human_normalised", MEAN)]
    rows = []
    for game in config.games:
        for method in config.derived.control.methods:
            part = made.xs((method, game), level=("method", "game"))
            rows.append(
                {
                    "game": game,
                    "method": method,
                    "f1": part[MEAN].mean(),
                    "f1_std": part[MEAN].std(),
                    **{name: part[name].mean() for name in names},
                    "score": part["score"].mean(),
                    "score_std": part["score"].std(),
                    "human_normalised": part["human_normalised"].mean(),
                    "random": data.agents.baseline("random", game),
                    "human": data.agents.baseline("human", game),
                }
            )
    return pd.DataFrame(rows)


def how_learned(config: Config) -> str:
    """How the study's agents learn, in a sentence."""
    row = next(iter(config.derived.control.agents.values()))
    steps = f"{row.steps:,} steps of {row.num_envs} environments"
    return (
        f"Each agent ({row.kind}, protocol {row.protocol}, {steps}) learns a hidden layer of "
        f"{row.hidden} and its heads on the features of the last {row.history} frames; the encoder "
        "stays as it is."
    )


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX, without the categories."""
    caption = (
        f"F1 of each encoder (protocol {config.derived.control.base}, mean over categories) and "
        f"the score of an agent that sees through it. {how_learned(config)} Random play and a "
        f"human tester: Mnih et al. 2015. {versions_note()}"
    )
    parts = []
    for game, rows in table.groupby("game", sort=False):
        lines = [
            [
                method_name(row["method"]),
                score_text(row["f1"], row["f1_std"]),
                f"{row['score']:.1f}",
                DASH if pd.isna(row["human_normalised"]) else f"{row['human_normalised']:.2f}",
            ]
            for _, row in rows.iterrows()
        ]
        first = rows.iloc[0]
        known = (
            f" (random play {first['random']:g}, human {first['human']:g})"
            if not pd.isna(first["random"])
            else ""
        )
        parts.append(Part(f"{game}{known}", lines, []))
    return typeset("control", caption, ["Encoder", "F1", "Score", "Normalised"], parts)


def figure(config: Config, data: ControlData) -> Figure:
    """Score against F1: a panel for each game, a point for each method and seed."""
    assert data.agents is not None
    made = cells(config, data)
    columns = min(len(config.games), 3)
    lines = -(-len(config.games) // columns)
    size = (style.COLUMN_WIDTH * (1 if columns == 1 else 2), 2.2 * lines + 0.4)
    with style.styled():
        drawn = Figure(figsize=size, layout="constrained")
        grid = drawn.subplots(lines, columns, squeeze=False).ravel()
        for axes, game in zip(grid, config.games, strict=False):
            for number, method in enumerate(config.derived.control.methods):
                part = made.xs((method, game), level=("method", "game"))
                look = style.series(number)
                axes.plot(
                    part[MEAN],
                    part["score"],
                    linestyle="none",
                    markersize=4,
                    label=method_name(method),
                    **look,
                )
            random = data.agents.baseline("random", game)
            if np.isfinite(random):
                axes.axhline(random, color=style.MISSING, linestyle="--", linewidth=0.8)
            axes.set_title(game)
            axes.set_xlabel("F1 of the encoder")
            axes.set_ylabel("score of the agent")
            axes.spines[["top", "right"]].set_visible(False)
        for axes in grid[len(config.games) :]:
            axes.set_axis_off()
        handles, labels = grid[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return drawn
