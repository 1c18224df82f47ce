"""Agreement with the published numbers by method, and what is known to explain the rest."""

import numpy as np
import pandas as pd
import scipy.stats

from workflow_src.config.run import Config
from workflow_src.report.aggregate import BLOCK, CONFIDENCE, RESAMPLES
from workflow_src.report.agreement.compared import NEAR, SOURCE, cells
from workflow_src.report.data import Data
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import DASH, method_name
from workflow_src.report.tables.captions import how_made
from workflow_src.seeds import generator

ALL = "all"  # in place of a method
# What docs/deviations.md and docs/protocol.md know to move a kind of method, by weight.
EXPLAINED = {
    "majority": "duplicates in test were removed before some published runs and not others",
    "random-cnn": "the probe is far from converged: conditioning, lr 5e-4 beside 3e-4 (Q9)",
    "supervised": "stops on the summed loss, without a plateau; there each variable by itself",
    "supervised-shared": "was not published",
}
OTHERS = "seeds (Q3), sampled test frames (Q7)"


def table(config: Config, data: Data) -> pd.DataFrame:
    """One row for each (policy, protocol, method), and ``all`` after each block.

    Columns: values (that both have), near (the share within 0.05), mean (of ours minus the
    published), low and high (its bootstrap interval over games), absolute (mean absolute
    difference), correlation (Pearson's, over values), largest_game, largest_variable,
    largest_difference, explained_by.
    """
    found, rows = cells(config, data), []
    for (policy, protocol), block in found.groupby(BLOCK, sort=False):
        methods = [name for name in config.methods if (block["method"] == name).any()]
        for method in [*methods, ALL]:
            part = block if method == ALL else block[block["method"] == method]
            rng = generator(0, "agreement", str(policy), str(protocol), method)
            low, high = interval(part, rng)
            top = part.loc[part["difference"].abs().idxmax()]
            kind = "" if method == ALL else config.methods[method].kind
            rows.append(
                {
                    "policy": policy,
                    "protocol": protocol,
                    "method": method,
                    "values": len(part),
                    "near": (part["difference"].abs() <= NEAR + 1e-9).mean(),
                    "mean": part["difference"].mean(),
                    "low": low,
                    "high": high,
                    "absolute": part["difference"].abs().mean(),
                    "correlation": _correlation(part),
                    "largest_game": top["game"],
                    "largest_variable": top["variable"],
                    "largest_difference": top["difference"],
                    "explained_by": "" if method == ALL else EXPLAINED.get(kind, OTHERS),
                }
            )
    columns = [*BLOCK, "method", "values", "near", "mean", "low", "high", "absolute"]
    columns += ["correlation", "largest_game", "largest_variable", "largest_difference"]
    return pd.DataFrame(rows, columns=[*columns, "explained_by"])


def interval(part: pd.DataFrame, rng: np.random.Generator) -> tuple[float, float]:
    """Bootstrap interval of the mean difference; games are drawn again, with all their values.

    NaN with a single game.
    """
    by_game = part.groupby("game")["difference"].agg(["sum", "size"]).to_numpy()
    if len(by_game) < 2:
        return np.nan, np.nan
    drawn = by_game[rng.integers(len(by_game), size=(RESAMPLES, len(by_game)))].sum(1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    return float(low), float(high)


def _correlation(part: pd.DataFrame) -> float:
    if len(part) < 3 or part["ours"].nunique() < 2 or part["published"].nunique() < 2:
        return float("nan")
    return float(scipy.stats.pearsonr(part["ours"], part["published"]).statistic)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX, without what explains the differences."""
    caption = (
        f"Agreement with the published F1 of each variable: the share within {NEAR:g}, the mean of "
        f"ours minus the published with its {CONFIDENCE:.0%} bootstrap interval over games, the "
        "mean absolute difference and the correlation. "
        f"Published values are of {SOURCE}. {how_made(config)}"
    )
    parts = []
    for (policy, protocol), rows in table.groupby(BLOCK, sort=False):
        lines = [
            [
                "All" if row["method"] == ALL else method_name(row["method"]),
                str(row["values"]),
                f"{row['near']:.2f}",
                f"{row['mean']:+.2f}",
                DASH if pd.isna(row["low"]) else f"[{row['low']:+.2f}, {row['high']:+.2f}]",
                f"{row['absolute']:.2f}",
                DASH if pd.isna(row["correlation"]) else f"{row['correlation']:.2f}",
            ]
            for _, row in rows.iterrows()
        ]
        parts.append(Part(f"Policy {policy}, protocol {protocol}", lines[:-1], lines[-1:]))
    header = ["Method", "Values", f"Within {NEAR:g}", "Mean", "Interval", "Absolute", "Correlation"]
    return typeset("agreement", caption, header, parts)
