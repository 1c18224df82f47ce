"""How likely each agent of a run is to score more than another."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import latex as typesetting
from workflow_src.report.agents.comparing import NO_GAME, OURS, contenders, improvement
from workflow_src.report.agents.data import AgentData
from workflow_src.report.names import DASH
from workflow_src.report.tables.captions import versions_note


def table(config: Config, data: AgentData) -> pd.DataFrame:
    """One row for each agent of the run and each other agent, published ones included.

    Columns: agent, than, probability, low and high (NaN with single seeds).
    """
    rows = []
    everybody = contenders(config, data)
    for one in (one for one in everybody if one.source == OURS):
        for other in (other for other in everybody if other.name != one.name):
            found = dict(zip(("probability", "low", "high"), improvement(one, other), strict=True))
            rows.append({"agent": one.name, "than": other.name, **found})
    return pd.DataFrame(rows, columns=["agent", "than", "probability", "low", "high"])


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX."""
    caption = (
        "Probability of improvement: the chance that a run of the agent scores more than one of "
        "the other, the mean over games; equal scores count half. Published agents are followed by "
        f"the frames that they had learned from. {versions_note()}"
    )
    parts = []
    for agent, rows in table.groupby("agent", sort=False):
        lines = []
        for row in rows.itertuples():
            bounds = "" if pd.isna(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
            lines.append([row.than, f"{row.probability:.2f}{bounds}"])
        parts.append(typesetting.Part(f"Agent {agent}", lines, []))
    parts = parts or [typesetting.Part(NO_GAME, [[DASH, DASH]], [])]
    return typesetting.typeset("agent_improvement", caption, ["Than", "Probability"], parts)
