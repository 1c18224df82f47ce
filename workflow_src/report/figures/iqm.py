"""Interquartile mean of F1 by method, with its interval."""

from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.data import Data
from workflow_src.report.figures.points import points
from workflow_src.report.names import method_name


def figure(config: Config, data: Data) -> Figure:
    """A panel for each policy, a colour for each protocol.

    A method without scores has a dash. With a single seed there are no intervals, and the label
    below says so.
    """
    found = aggregate.interquartile_means(config, data.scores)
    names = [method_name(method) for method in config.methods]
    parts = {block: part.droplevel(BLOCK) for block, part in found.groupby(BLOCK)}
    panels = [
        (policy, [(protocol, parts[policy, protocol]) for protocol in config.protocols])
        for policy in config.policies
    ]
    return points(panels, names, _below(config, data), centre="iqm", least_span=0.1)


def _below(config: Config, data: Data) -> str:
    """The label below: over how many games and seeds, and what the lines are."""
    counts = sorted(set(aggregate.game_counts(config, data.scores)))
    games, seeds = " or ".join(map(str, counts)), len(config.seeds)
    if seeds == 1:
        return f"Interquartile mean of F1 over {games} games × 1 seed\n(one seed, so no intervals)"
    return (
        f"Interquartile mean of F1 over {games} games × {seeds} seeds\n"
        f"({aggregate.CONFIDENCE:.0%} bootstrap intervals)"
    )
