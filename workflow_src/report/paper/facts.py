"""Facts about the scores, from the tables of F1 by game and by category."""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report.aggregate import BLOCK, MEAN


@dataclass(frozen=True)
class Mean:
    """A method's F1, mean over categories, seeds and games; NaN if there is none."""

    method: str
    ours: float
    spread: float  # standard deviation over seeds
    published: float  # mean of the same games

    @property
    def difference(self) -> float:
        """Ours minus the published."""
        return self.ours - self.published


class GameScore(NamedTuple):
    """A method's F1 in a game."""

    method: str
    game: str
    ours: float
    published: float

    @property
    def difference(self) -> float:
        """Ours minus the published."""
        return self.ours - self.published


class Above(NamedTuple):
    """In how many games a method is above a baseline, with our and with the published values."""

    method: str
    ours: int
    published: int | None


class Baseline(NamedTuple):
    """A method that learns nothing, and in how many games others are above it."""

    method: str
    above: list[Above]


class Rescaled(NamedTuple):
    """Another method's encoder with its features standardised or whitened, beside that itself."""

    features: str
    base: Mean
    scaled: Mean
    base_place: int  # among all means, the highest first
    place: int


@dataclass(frozen=True)
class Block:
    """Facts about the scores of one policy and protocol."""

    policy: str
    protocol: str
    games: int
    means: list[Mean]  # the highest first
    first: int  # games in which the first of them is the highest
    baselines: list[Baseline]
    easiest: tuple[str, float] | None  # category and F1 of the first method
    hardest: tuple[str, float] | None
    scores: list[GameScore]  # with both values, the largest difference first
    ordered: int  # pairs of methods whose means are in the published order
    pairs: int
    rescaled: list[Rescaled]

    @property
    def compared(self) -> list[Mean]:
        """The means that have a published counterpart."""
        return [mean for mean in self.means if pd.notna(mean.published)]

    @property
    def apart(self) -> float:
        """The mean of the absolute differences."""
        return sum(abs(one.difference) for one in self.scores) / len(self.scores)

    @property
    def higher(self) -> int:
        """How many of ours are above the published."""
        return sum(one.difference > 0 for one in self.scores)


def facts(config: Config, by_game: pd.DataFrame, by_category: pd.DataFrame) -> list[Block]:
    """The facts of each policy and protocol that has any score."""
    found = []
    for (policy, protocol), rows in by_game.groupby(BLOCK, sort=False):
        rows = rows.set_index("game")
        methods = [method for method in config.methods if pd.notna(rows.at[MEAN, method])]
        if methods:
            games = rows.drop(index=MEAN).dropna(subset=methods, how="all")
            means = _means(rows.loc[MEAN], methods)
            scores = _scores(games, methods)
            best = means[0].method
            of_block = (by_category[BLOCK] == [policy, protocol]).all(axis=1)
            easiest, hardest = _extremes(by_category[of_block].set_index("category")[best])
            published = [one for one in means if pd.notna(one.published)]
            pairs = list(itertools.combinations(published, 2))
            found.append(
                Block(
                    policy,
                    protocol,
                    games=len(games),
                    means=means,
                    first=int((games[methods].idxmax(axis=1) == best).sum()),
                    baselines=_baselines(config, games, methods),
                    easiest=easiest,
                    hardest=hardest,
                    scores=scores,
                    ordered=sum(one.published >= two.published for one, two in pairs),
                    pairs=len(pairs),
                    rescaled=_rescaled(config, means),
                )
            )
    return found


def _means(mean: pd.Series, methods: list[str]) -> list[Mean]:
    """The means of ``methods``, the highest first."""
    means = []
    for method in methods:
        spread = mean.get(f"{method}_std", float("nan"))
        means.append(Mean(method, mean[method], spread, mean[f"{method}_paper"]))
    return sorted(means, key=lambda one: -one.ours)


def _rescaled(config: Config, means: list[Mean]) -> list[Rescaled]:
    """The methods of the kind conditioned whose base has a mean too."""
    places = {one.method: place for place, one in enumerate(means, 1)}
    found = []
    for name, row in config.methods.items():
        if row.of in places and name in places and row.features is not None:
            places_of = places[row.of], places[name]
            base, scaled = (means[place - 1] for place in places_of)
            found.append(Rescaled(row.features, base, scaled, *places_of))
    return found


def _scores(games: pd.DataFrame, methods: list[str]) -> list[GameScore]:
    """The scores that have a published counterpart, the largest difference first."""
    found = []
    for method, game in itertools.product(methods, games.index):
        published = games.at[game, f"{method}_paper"]
        found.append(GameScore(method, game, games.at[game, method], published))
    compared = [one for one in found if pd.notna(one.difference)]
    return sorted(compared, key=lambda one: -abs(one.difference))


Extreme = tuple[str, float] | None


def _extremes(by_category: pd.Series) -> tuple[Extreme, Extreme]:
    """The categories with the highest and the lowest F1; None where there is only one."""
    part = by_category.dropna().sort_values()
    if len(part) < 2:
        return None, None
    highest, lowest = ((str(part.index[i]), part.iloc[i]) for i in (-1, 0))
    return highest, lowest


def _baselines(config: Config, games: pd.DataFrame, methods: list[str]) -> list[Baseline]:
    """Compare methods that learn with untrained encoders, and both with methods without one.

    Methods without an encoder are compared with untrained encoders or, if there are none, with
    methods that learn.
    """
    learned = [method for method in methods if config.methods[method].learns_from is not None]
    others = [method for method in methods if method not in learned]
    # Another method's encoder on another scale is neither.
    rows = config.methods
    untrained = [name for name in others if rows[name].has_encoder and rows[name].of is None]
    majority = [method for method in methods if not config.methods[method].has_encoder]
    found = [Baseline(method, _above(games, learned, method)) for method in untrained]
    rivals = untrained or learned
    return found + [Baseline(method, _above(games, rivals, method)) for method in majority]


def _above(games: pd.DataFrame, methods: list[str], baseline: str) -> list[Above]:
    """In how many games each of ``methods`` is above the baseline."""
    found = []
    for method in methods:
        published = games[[f"{method}_paper", f"{baseline}_paper"]].dropna()
        above = int((published.iloc[:, 0] > published.iloc[:, 1]).sum())
        count = above if len(published) == len(games) else None
        found.append(Above(method, int((games[method] > games[baseline]).sum()), count))
    return found
