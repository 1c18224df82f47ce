"""How far off the values are that probes of the kind `regression` estimate."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.data import Data
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import CATEGORY_NAMES, DASH, method_name
from workflow_src.report.tables.captions import how_made

METRICS = ("r2", "mae", "within_2")
KIND = "regression"


def table(config: Config, data: Data) -> pd.DataFrame:
    """One row for each (policy, protocol, method, category, game), and the ``mean`` of its games.

    Columns: r2, mae, within_2 (`probes.metrics.errors`), means over variables and seeds.
    """
    columns = {}
    for metric in METRICS:
        wide = aggregate.values(config, data.scores, "category", metric, every_probe=True)
        found = wide.loc[:, wide.columns.get_level_values("probe") == KIND]
        found = found.droplevel("probe", axis=1)
        mean, _ = aggregate.over_seeds(found)
        mean.columns.name = "method"
        columns[metric] = mean.stack(future_stack=True)
    made = pd.DataFrame(columns).dropna().rename_axis(index={"name": "category"})
    made = made.reorder_levels([*BLOCK, "method", "category", "game"])
    return aggregate.tidy_with_mean(config, made)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The means over games as LaTeX; a method is named in its first row only."""
    caption = (
        "Values estimated as numbers, by linear regression: R2, the mean absolute error (for "
        "positions in pixels, for others in the unit of their byte), and the share of frames "
        "within 2 of the truth. Means over variables, games and seeds. "
        f"{how_made(config, probe=False)}"
    )
    parts = []
    for (policy, protocol), rows in table[table["game"] == MEAN].groupby(BLOCK, sort=False):
        repeated = rows.duplicated("method")
        lines = [
            [
                "" if again else method_name(row["method"]),
                CATEGORY_NAMES[row["category"]],
                *(f"{row[metric]:.2f}" for metric in METRICS),
            ]
            for (_, row), again in zip(rows.iterrows(), repeated, strict=True)
        ]
        parts.append(Part(f"Policy {policy}, protocol {protocol}", lines, []))
    if not parts:
        parts.append(Part("No probe of this kind has been fitted", [[DASH] * 5], []))
    header = ["Method", "Category", "R2", "Mean absolute error", "Within 2"]
    return typeset("regression", caption, header, parts, left=2)
