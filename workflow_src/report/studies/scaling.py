"""Scaling: how F1 grows with the number of frames that an encoder learns from.

The base protocol is compared with itself where encoders learn from the first so many percent of
their frames. The probes' frames are the same.
"""

import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.studies import series
from workflow_src.report.tables.captions import how_made


def table(config: Config, data: Data) -> pd.DataFrame:
    """F1 (mean over categories and seeds) by number of frames.

    One row for each (policy, method, game, frames), ``mean`` the last game. Columns: policy,
    method, game, percent, frames (collected for the encoder, before some are dropped), f1, f1_std
    (over seeds, empty with a single one).
    """
    study = config.derived.scaling
    percents = study.percents | {study.base: 100}
    sizes = {
        protocol: {
            "percent": percent,
            "frames": config.episodes.frames.pretrain * percent // 100,
        }
        for protocol, percent in sorted(percents.items(), key=lambda size: size[1])
    }
    return series.table(config, data.scores, "scaling", study, sizes)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX: a column for each number of frames."""
    study = config.derived.scaling
    caption = (
        f"Probe F1 (mean over categories) of protocol {study.base} against the frames collected "
        "for the encoder, as if collecting had stopped there; as ever, not all of them are of "
        f"train or validation. {how_made(series.base_alone(config, study))}"
    )
    sizes = table[["percent", "frames"]].drop_duplicates().itertuples(index=False)
    header = ["Game", *(f"{frames:,} ({percent} %)" for percent, frames in sizes)]
    return typeset("scaling", caption, header, series.parts(table))


def figure(config: Config, data: Data) -> Figure:
    """F1 against frames, see `series.figure`."""
    methods = config.derived.scaling.methods
    return series.figure(
        config, table(config, data), methods, "frames", "Frames collected for the encoder"
    )
