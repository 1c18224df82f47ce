"""What agents left: the histories of their trainings and their evaluated games."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from workflow_src import layout
from workflow_src.config.run import Config
from workflow_src.csv_files import read_csv, read_published
from workflow_src.errors import UserError
from workflow_src.paths import place

REFERENCE = "agent_scores.csv"
_TEXT = ["agent", "game", "weights", "protocol"]


@dataclass(frozen=True)
class AgentData:
    """Histories with the columns agent, game and seed added; games, a row each; both of a run.

    ``published``: the reference's scores by (agent, protocol, game, frames).
    """

    histories: pd.DataFrame
    games: pd.DataFrame
    published: pd.DataFrame

    def baseline(self, name: str, game: str) -> float:
        """The score of ``random`` or ``human`` in a game; NaN where none is known."""
        found = self.published.query("agent == @name and game == @game")["score"]
        return float(found.iloc[0]) if len(found) else float("nan")

    def normalised(self, score: float, game: str) -> float:
        """A score with random play at 0 and a human tester at 1 (Mnih et al. 2015)."""
        random, human = self.baseline("random", game), self.baseline("human", game)
        return (score - random) / (human - random)


def read_data(
    config: Config, histories: Iterable[Path], evaluations: Iterable[Path], reference: Path
) -> AgentData:
    """Read the files of a run's agents, and the published scores in the folder ``reference``.

    `UserError` or `DamagedFile` for a file that is missing, damaged or of another run.
    """
    curves = []
    for path in histories:
        found = layout.AGENT_HISTORIES.parse(place(path))
        if found is None or found["agent"] not in config.agents:
            raise UserError(f"{path} is not the history of one of this run's agents: leave it out")
        names = {"agent": found["agent"], "game": found["game"], "seed": int(found["seed"])}
        curves.append(read_csv(path, text=[], numbers=["step", "score"]).assign(**names))
    return replace(read_games(evaluations, reference), histories=pd.concat(curves))


def read_games(evaluations: Iterable[Path], reference: Path) -> AgentData:
    """The same without histories, of evaluations alone."""
    games = [
        read_csv(path, text=_TEXT, numbers=["seed", "score", "frames"]) for path in evaluations
    ]
    published = read_published(
        reference, REFERENCE, text=["agent", "protocol", "game", "measured", "source"]
    )
    return AgentData(pd.DataFrame(), pd.concat(games), published)
