"""Performance profiles: how many runs score more than a human-normalised score."""

import itertools

import numpy as np
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report.agents.comparing import OURS, contenders, profile
from workflow_src.report.agents.data import AgentData
from workflow_src.report.figures import style

_DASHES = ((0, (1, 1.5)), (0, (4, 2)), (0, (8, 2)))
_PUBLISHED = "dqn"  # the only published agent that is drawn: one line is enough to compare with


def figure(config: Config, data: AgentData) -> Figure:
    """A line for each agent of the run; dashed, a published DQN at each number of frames."""
    everybody = contenders(config, data)
    ours = [one for one in everybody if one.source == OURS]
    theirs = [one for one in everybody if one.source != OURS and one.agent == _PUBLISHED]
    highest = max([1.2, *(float(one.scores.max()) for one in ours)])
    at = np.linspace(min([0.0, *(float(one.scores.min()) for one in ours)]) - 0.05, highest, 200)
    with style.styled():
        drawn = Figure(figsize=(style.COLUMN_WIDTH, 2.4), layout="constrained")
        axes = drawn.subplots()
        for number, one in enumerate(ours):
            color = style.SERIES[number % len(style.SERIES)]
            axes.step(at, profile(one.scores, at), color=color, linewidth=1.2, label=one.name)
        for one, dots in zip(theirs, itertools.cycle(_DASHES)):
            shares = profile(one.scores, at)
            axes.step(at, shares, color="#777777", linewidth=0.8, linestyle=dots, label=one.name)
        axes.axvline(1, color="#777777", linewidth=0.5)
        axes.set(xlabel="Human-normalised score", ylabel="Share of runs above it", ylim=(0, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
        if everybody:
            drawn.legend(loc="outside upper center", ncols=3, frameon=False)
    return drawn
