"""Interquartile mean of F1 over games and seeds (Agarwal et al. 2021, arXiv 2108.13264)."""

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.names import DASH, method_name
from workflow_src.report.tables.captions import how_made, interval_note
from workflow_src.report.tables.rendering import blocks, score_texts


def table(config: Config, data: Data) -> pd.DataFrame:
    """One row for each (policy, protocol, method).

    Columns: policy, protocol, method, iqm, and the bounds of its interval, low and high, which are
    empty with a single seed.
    """
    return aggregate.interquartile_means(config, data.scores).reset_index()


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX."""
    caption = (
        "Interquartile mean of the probe F1 (mean over categories) of all games and seeds, and its "
        f"{interval_note(config)}. {how_made(config)}"
    )
    columns = {
        "method": table["method"].map(method_name),
        "iqm": score_texts(table["iqm"]),
        "interval": [*map(_interval, table["low"], table["high"])],
    }
    header = ["Method", "Interquartile mean", f"{aggregate.CONFIDENCE:.0%} interval"]
    return typeset("iqm", caption, header, blocks(table, pd.DataFrame(columns)))


def _interval(low: float, high: float) -> str:
    return DASH if pd.isna(low) else f"[{low:.2f}, {high:.2f}]"
