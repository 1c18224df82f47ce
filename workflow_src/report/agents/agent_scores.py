"""Scores of agents beside random play, a human tester and published agents."""

import numpy as np
import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import latex as typesetting
from workflow_src.report.agents.data import AgentData
from workflow_src.report.aggregate import CONFIDENCE, interquartile_mean
from workflow_src.report.names import DASH
from workflow_src.report.tables.captions import versions_note
from workflow_src.seeds import generator

ALL = "interquartile mean"  # in place of a game
# Published agents to compare with: (column, agent, protocol, frames).
PUBLISHED = (
    ("dqn_10M", "dqn", "modern", 10_000_000),
    ("dqn_200M", "dqn", "modern", 200_000_000),
    ("ppo_40M", "ppo", "classic", 40_000_000),
)


def table(config: Config, data: AgentData) -> pd.DataFrame:
    """One row for each agent and game, then one for each agent over its games.

    Columns: agent, game, protocol, epsilon, frames (that it had learned from), games (that the last
    weights played), score and std (mean and standard deviation over seeds of the last weights),
    best (the same of the best weights), random, human, then the published agents', human_normalised
    and the bounds of its bootstrap interval, low and high. The rows over games have the
    interquartile mean of the human-normalised scores of all games and seeds.
    """
    finished = data.games["finished"].astype(bool)
    played = data.games[finished | ~finished.groupby(_run_of(data.games)).transform("any")]
    scores = played.groupby(["agent", "weights", "game", "seed"], sort=False)["score"].mean()
    learned = data.histories.groupby(["agent", "game"])["frames"].max()
    rows = []
    for agent, row in config.agents.items():
        of_agent: dict[str, np.ndarray] = {}
        for game in row.games(config.games):
            last = scores[agent, "last", game]
            normal = np.array([data.normalised(score, game) for score in last])
            of_agent[game] = normal
            rows.append(
                {
                    "agent": agent,
                    "game": game,
                    "protocol": row.protocol,
                    "epsilon": config.agent_protocols[row.protocol].epsilon,
                    "frames": learned[agent, game],
                    "games": _count(played, agent, game),
                    "score": last.mean(),
                    "std": last.std(),
                    "best": scores[agent, "best", game].mean(),
                    "random": data.baseline("random", game),
                    "human": data.baseline("human", game),
                    **{
                        column: _published(data, game, name, protocol, frames)
                        for column, name, protocol, frames in PUBLISHED
                    },
                    "human_normalised": normal.mean(),
                }
            )
        known = np.array([one for one in of_agent.values() if not np.isnan(one).any()])
        if len(known):
            found = interquartile_mean(known, generator(0, "agents", agent))
            values = dict(zip(("human_normalised", "low", "high"), found, strict=True))
            rows.append({"agent": agent, "game": ALL, "protocol": row.protocol, **values})
    columns = ["agent", "game", "protocol", "epsilon", "frames", "games", "score", "std", "best"]
    columns += ["random", "human", *(column for column, *_ in PUBLISHED)]
    return pd.DataFrame(rows, columns=[*columns, "human_normalised", "low", "high"])


def _run_of(games: pd.DataFrame) -> list[pd.Series]:
    return [games[name] for name in ("agent", "weights", "game", "seed")]


def _count(played: pd.DataFrame, agent: str, game: str) -> int:
    which = (played["agent"] == agent) & (played["game"] == game) & (played["weights"] == "last")
    return int(which.sum())


def _published(data: AgentData, game: str, agent: str, protocol: str, frames: int) -> float:
    found = data.published.query(
        "agent == @agent and protocol == @protocol and game == @game and frames == @frames"
    )["score"]
    return float(found.iloc[0]) if len(found) else float("nan")


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX."""
    seeds = len(config.seeds)
    spread = "mean and standard deviation over seeds" if seeds > 1 else "one seed"
    interval = f", with its {CONFIDENCE:.0%} bootstrap interval over seeds" if seeds > 1 else ""
    caption = (
        f"Raw scores of agents in evaluation games ({spread}): the last and the best weights. "
        "Random play and a human tester: Mnih et al. 2015, as in Kaixhin/Atari. DQN: Dopamine, "
        "training returns with sticky actions; PPO: CleanRL, training returns. Normalised: random "
        "play is 0, the human tester 1; over games, the interquartile mean over games and seeds"
        f"{interval}. {versions_note()}"
    )
    parts = []
    for agent, rows in table.groupby("agent", sort=False):
        protocol = rows["protocol"].iloc[0]
        games, whole = rows[rows["game"] != ALL], rows[rows["game"] == ALL]
        lines, below = ([_line(row) for _, row in part.iterrows()] for part in (games, whole))
        parts.append(typesetting.Part(f"Agent {agent}, protocol {protocol}", lines, below))
    header = ["Game", "Frames", "Games", "Last", "Best", "Random", "Human"]
    header += ["DQN 10M", "DQN 200M", "PPO 40M", "Normalised"]
    return typesetting.typeset("agent_scores", caption, header, parts)


def _line(row: pd.Series) -> list[str]:
    if row["game"] == ALL:
        bounds = "" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
        shown = f"{row['human_normalised']:.2f}{bounds}"
        return ["Interquartile mean", *[""] * 9, shown]
    spread = "" if pd.isna(row["std"]) else f"±{row['std']:.1f}"
    scores = [row[name] for name in ("best", "random", "human", *(name for name, *_ in PUBLISHED))]
    normal = row["human_normalised"]
    return [
        row["game"],
        f"{row['frames'] / 1e6:.3g}M",
        str(int(row["games"])),
        f"{row['score']:.1f}{spread}",
        *(DASH if pd.isna(score) else f"{score:.1f}" for score in scores),
        DASH if pd.isna(normal) else f"{normal:.2f}",
    ]
