"""Learning curves of agents: evaluation score against emulator frames."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from workflow_src.config.run import Config
from workflow_src.report.agents.data import AgentData
from workflow_src.report.figures import style

_ACROSS = 3  # panels
_PANEL = 1.6  # inches


def figure(config: Config, data: AgentData) -> Figure:
    """A panel for each game, a line for each agent: the mean over seeds, and their range.

    Dotted: random play and a human tester, where their scores are known.
    """
    games = list(dict.fromkeys(data.histories["game"]))
    across = min(len(games), _ACROSS)
    down = -(-len(games) // across)
    width = max(style.COLUMN_WIDTH, 2 * style.COLUMN_WIDTH * across / _ACROSS)
    with style.styled():
        drawn = Figure(figsize=(width, _PANEL * down + 0.6), layout="constrained")
        grid = drawn.subplots(down, across, squeeze=False).ravel()
        for axes, game in zip(grid, games, strict=False):
            axes.set_title(game)
            _draw(axes, config, data, game)
        for axes in grid[len(games) :]:
            axes.set_axis_off()
        drawn.supxlabel("Emulator frames", fontsize=7)
        drawn.supylabel("Score of an evaluation", fontsize=7)
        handles = {
            label: handle
            for axes in grid
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        drawn.legend(
            list(handles.values()),
            list(handles),
            loc="outside upper center",
            ncols=min(len(handles), 4),
            frameon=False,
        )
    return drawn


def _draw(axes: Axes, config: Config, data: AgentData, game: str) -> None:
    of_game = data.histories[data.histories["game"] == game]
    for number, agent in enumerate(config.agents):
        lines = of_game[of_game["agent"] == agent]
        if lines.empty:
            continue
        by_seed = lines.pivot(index="frames", columns="seed", values="score")
        color = style.SERIES[number % len(style.SERIES)]
        axes.plot(by_seed.index, by_seed.mean(axis=1), color=color, linewidth=1, label=agent)
        if by_seed.shape[1] > 1:
            low, high = by_seed.min(axis=1), by_seed.max(axis=1)
            axes.fill_between(by_seed.index, low, high, color=color, alpha=0.2, linewidth=0)
    for name, dots in {"random": (0, (1, 1)), "human": (0, (4, 2))}.items():
        score = data.baseline(name, game)
        if not np.isnan(score):
            axes.axhline(score, color="#777777", linewidth=0.7, linestyle=dots, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)
