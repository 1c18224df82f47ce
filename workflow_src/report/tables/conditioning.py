"""How the features of each encoder are conditioned, beside F1."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.aggregate import BLOCK, MEAN
from workflow_src.report.data import Data
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import DASH, method_name
from workflow_src.report.tables.captions import how_made

METRICS = ("size", "mean", "deviation", "effective_rank")


def table(config: Config, data: Data) -> pd.DataFrame:
    """One row for each (policy, protocol, method, game), and ``mean`` over its games.

    Columns: size (of the representation), mean and deviation (root mean squares over features),
    effective_rank, f1 (mean over categories); means over seeds, of each method's first probe.
    """
    found = {
        metric: _over_seeds(aggregate.values(config, data.scores, "features", metric))
        for metric in METRICS
    }
    f1 = _over_seeds(aggregate.values(config, data.scores, "mean_over_categories", "f1"))
    rows = found["deviation"].dropna().index
    made = pd.DataFrame({name: values.reindex(rows) for name, values in found.items()})
    made["f1"] = f1.reindex(rows)
    return aggregate.tidy_with_mean(config, made)


def _over_seeds(wide: pd.DataFrame) -> pd.Series:
    """The mean over seeds by (policy, protocol, method, game)."""
    mean, _ = aggregate.over_seeds(wide)
    mean.columns.name = "method"
    long = mean.stack(future_stack=True).droplevel("name")
    return long.reorder_levels([*BLOCK, "method", "game"])


def latex(config: Config, table: pd.DataFrame) -> str:
    """The means over games as LaTeX."""
    caption = (
        "Conditioning of the features that the probe reads: number, root mean square of their "
        "means and of their standard deviations, and effective rank (the exponential of the "
        "entropy of the covariance's spectrum); with F1. Means over games and seeds. "
        f"{how_made(config)}"
    )
    parts = []
    for (policy, protocol), rows in table[table["game"] == MEAN].groupby(BLOCK, sort=False):
        lines = [
            [
                method_name(row["method"]),
                f"{row['size']:.0f}",
                f"{row['mean']:.2g}",
                f"{row['deviation']:.2g}",
                DASH if pd.isna(row["effective_rank"]) else f"{row['effective_rank']:.0f}",
                DASH if pd.isna(row["f1"]) else f"{row['f1']:.2f}",
            ]
            for _, row in rows.iterrows()
        ]
        parts.append(Part(f"Policy {policy}, protocol {protocol}", lines, []))
    if not parts:  # scores of probes that read no features, or did not describe them
        parts.append(Part("No features were read", [[DASH] * 6], []))
    header = ["Method", "Features", "Mean", "Deviation", "Effective rank", "F1"]
    return typeset("conditioning", caption, header, parts)
