"""Playing with a learner's values: epsilon-greedy actions, and games that are counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workflow_src.agents.base import Actor
    from workflow_src.agents.encoded import Encoded
    from workflow_src.agents.vector import Vector


@dataclass(frozen=True)
class Game:
    """One game that was played: its raw return, in steps and in emulator frames."""

    score: float
    steps: int
    frames: int
    finished: bool  # False: cut off because all that was asked for had been played


def choose(
    actor: "Actor",
    vector: "Vector | Encoded",
    epsilon: float | np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The next action of each environment: greedy, or with chance ``epsilon`` a uniform one.

    ``epsilon``: one chance, or one for each environment. Of equal values the lowest action is
    taken. Every call draws the same number of random numbers.
    """
    n = len(vector.end)
    explores = rng.random(n) < epsilon
    random = rng.integers(vector.num_actions, size=n)
    # An agent with a memory has to see the frames in any case.
    if explores.all() and not actor.recurrent:
        return random
    values = actor.values(vector.observation, vector.first, rng)
    return np.where(explores, random, values.argmax(1))


def evaluate(
    actor: "Actor",
    vector: "Vector | Encoded",
    steps: int,
    epsilon: float,
    rngs: Sequence[np.random.Generator],
    rng: np.random.Generator,
) -> list[Game]:
    """Play about ``steps`` steps in new games; every game that was begun is played to its end.

    Without that, long games would be missing from the mean. Each environment begins games until it
    has played its share. A game that has not ended after as many steps again is cut off, and is
    marked as not finished.
    """
    n = len(vector.end)
    share = -(-steps // n)
    vector.new_games(rngs)
    games: list[Game] = []
    score, length = np.zeros(n), np.zeros(n, np.int64)
    active = np.ones(n, bool)
    for step in range(1, 2 * share + 1):
        vector.step(choose(actor, vector, epsilon, rng))
        score += vector.reward
        length += 1
        for which, total, played, frames in vector.finished:
            if active[which]:
                games.append(Game(total, played, frames, finished=True))
                active[which] = step < share
            score[which], length[which] = 0.0, 0
        if not active.any():
            return games
    for left in np.flatnonzero(active & (length > 0)).tolist():
        frames = int(vector.frames[left])
        games.append(Game(float(score[left]), int(length[left]), frames, finished=False))
    return games


def mean_score(games: Sequence[Game]) -> float:
    """The mean return of the finished games, or of all if none is; NaN without any."""
    finished = [game.score for game in games if game.finished] or [game.score for game in games]
    return float(np.mean(finished)) if finished else float("nan")
