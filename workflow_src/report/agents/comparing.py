"""Agents compared over games, as Agarwal et al. (arXiv 2108.13264) recommend.

Scores are human-normalised: random play is 0, a human tester 1. Intervals are stratified percentile
bootstraps, which resample seeds within each game; a single seed has none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workflow_src.config.run import Config
from workflow_src.report.agents.data import AgentData
from workflow_src.report.aggregate import bootstrapped
from workflow_src.seeds import generator

OURS = "this run"
NO_GAME = "No game of this run has reference scores"


@dataclass(frozen=True)
class Contender:
    """An agent's scores: (games, seeds), normalised, in the order of `games_of`."""

    agent: str
    protocol: str
    frames: int
    source: str
    scores: np.ndarray

    @property
    def name(self) -> str:
        """The agent, and for a published one the frames that it had learned from."""
        return self.agent if self.source == OURS else f"{self.agent} ({self.frames / 1e6:g}M)"


def games_of(config: Config, data: AgentData) -> list[str]:
    """The games of the run that have scores of random play and of a human tester."""
    known = (data.baseline("random", game) - data.baseline("human", game) for game in config.games)
    return [game for game, apart in zip(config.games, known, strict=True) if not np.isnan(apart)]


def contenders(config: Config, data: AgentData) -> list[Contender]:
    """The run's agents that play its games, with their last weights; then the published ones.

    Published are those whose scores in all these games are known, with a score a game.
    """
    games = games_of(config, data)
    found = []
    played = data.games[data.games["weights"] == "last"]
    finished = played["finished"].astype(bool)
    runs = [played[name] for name in ("agent", "game", "seed")]
    played = played[finished | ~finished.groupby(runs).transform("any")]
    scores = played.groupby(["agent", "game", "seed"])["score"].mean()
    learned = data.histories.groupby("agent")["frames"].max()
    for agent, row in config.agents.items():
        if row.environment.kind == "atari" and games:
            normal = [
                [data.normalised(score, game) for score in scores[agent, game]] for game in games
            ]
            frames = int(learned[agent])
            found.append(Contender(agent, row.protocol, frames, OURS, np.array(normal)))
    others = data.published[~data.published["agent"].isin(["random", "human"])]
    for (agent, protocol, frames), rows in others.groupby(["agent", "protocol", "frames"]):
        by_game = rows.drop_duplicates("game").set_index("game")["score"]
        if found and set(games) <= set(by_game.index):
            normal = [[data.normalised(by_game[game], game)] for game in games]
            source = rows["source"].iloc[0]
            found.append(Contender(agent, protocol, int(frames), source, np.array(normal)))
    return found


def optimality_gap(scores: np.ndarray, axis: int | None = None) -> np.ndarray:
    """How far runs are below a human tester, those above counting nothing: lower is better."""
    return np.maximum(1 - scores, 0).mean(axis)


def interval(
    scores: np.ndarray, statistic: Callable[..., np.ndarray], *names: str
) -> tuple[float, float, float]:
    """A statistic of all runs (games, seeds), and the bounds of its interval."""
    return bootstrapped(scores, statistic, generator(0, "compared", *names))


def improvement(one: Contender, other: Contender) -> tuple[float, float, float]:
    """The chance that a run of ``one`` scores more than one of ``other``, and its interval.

    The mean over games; equal scores count half.
    """
    found = _wins(one.scores, other.scores)
    if one.scores.shape[1] == other.scores.shape[1] == 1:
        return float(found.mean()), np.nan, np.nan
    rng = generator(0, "improvement", one.name, other.name)
    samples = [
        _wins(_resampled(one.scores, rng), _resampled(other.scores, rng)).mean()
        for _ in range(1000)
    ]
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(found.mean()), float(low), float(high)


def _wins(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Of each game: the share of pairs of runs in which ours is the higher."""
    apart = ours[:, :, None] - theirs[:, None, :]
    return ((apart > 0) + (apart == 0) / 2).mean((1, 2))


def _resampled(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    games, seeds = scores.shape
    return scores[np.arange(games)[:, None], rng.integers(seeds, size=(games, seeds))]


def profile(scores: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The share of runs that score more than each of ``at``."""
    return (scores[..., None] > at).mean((0, 1))
