"""Every variable beside its published value, the largest differences first."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.agreement.compared import SOURCE, cells
from workflow_src.report.data import Data
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import CATEGORY_NAMES, method_name
from workflow_src.report.tables.captions import how_made

_SHOWN = 15  # in LaTeX, by policy and protocol


def table(config: Config, data: Data) -> pd.DataFrame:
    """The rows of `compared.cells`, by size of the difference within each policy and protocol."""
    found = cells(config, data)
    size = found["difference"].abs()
    order = found.assign(size=-size).sort_values([*BLOCK, "size"], kind="stable").index
    return found.loc[order].reset_index(drop=True)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The largest differences as LaTeX."""
    caption = (
        f"The {_SHOWN} variables whose F1 differs most from the published one. "
        f"Published values are of {SOURCE}. {how_made(config)}"
    )
    parts = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        lines = [
            [
                row["game"],
                row["variable"],
                CATEGORY_NAMES[row["category"]],
                method_name(row["method"]),
                f"{row['ours']:.2f}",
                f"{row['published']:.2f}",
                f"{row['difference']:+.2f}",
            ]
            for _, row in rows.head(_SHOWN).iterrows()
        ]
        parts.append(Part(f"Policy {policy}, protocol {protocol}", lines, []))
    header = ["Game", "Variable", "Category", "Method", "Ours", "Published", "Difference"]
    return typeset("agreement_variables", caption, header, parts)
