"""F1 of encoders as they are, standardised and whitened, by game."""

import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import MEAN
from workflow_src.report.data import Data
from workflow_src.report.figures.points import Series, points
from workflow_src.report.names import method_name
from workflow_src.report.tables.columns import PUBLISHED_GAMES, published_player, read_published

REFERENCE = "st-dim"


def figure(config: Config, data: Data) -> Figure:
    """A panel for each encoder of each policy and protocol, a row for each game and their mean."""
    wide = aggregate.with_mean(aggregate.by_game(config, data.scores))
    mean, spread = aggregate.over_seeds(wide)
    published = read_published(data, PUBLISHED_GAMES, "game")
    names = [*config.games, MEAN]
    panels = []
    for block in aggregate.blocks(config):
        for base in config.methods:
            others = [name for name, row in config.methods.items() if row.of == base]
            if not others or not mean[base].notna().any():
                continue
            series: list[Series] = [("as it is", _of(mean[base], spread[base], block, names))]
            for name in others:
                label = str(config.methods[name].features)
                series.append((label, _of(mean[name], spread[name], block, names)))
            player = published_player(config, str(block[0]))
            if player is not None:
                theirs = published[player][REFERENCE].reindex(config.games)
                theirs[MEAN] = theirs.mean(skipna=False)
                table = pd.DataFrame({"f1": theirs.reindex(names)})
                label = f"{method_name(REFERENCE)}, published"
                series.append((label, table.assign(low=float("nan"), high=float("nan"))))
            panels.append((f"{method_name(base)} ({', '.join(block)})", series))
    most = max(len(series) for _, series in panels)
    shown = [(title, series + series[-1:] * (most - len(series))) for title, series in panels]
    return points(shown, names, "F1", centre="f1")


def _of(
    mean: pd.Series, spread: pd.Series, block: tuple[str, ...], names: list[str]
) -> pd.DataFrame:
    """F1 of the games of a block, with one standard deviation over seeds to either side."""
    rows = [(*block, name) for name in names]
    centre, aside = mean.reindex(rows).to_numpy(), spread.reindex(rows).to_numpy()
    return pd.DataFrame({"f1": centre, "low": centre - aside, "high": centre + aside}, index=names)
