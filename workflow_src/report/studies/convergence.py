"""Convergence: how F1 grows with the number of epochs for which probes are fitted.

The base protocol is compared with itself where probes are fitted for fewer, or more, epochs. With
rows of the kind `conditioned` it shows that features on another scale are read sooner.
"""

import pandas as pd
from matplotlib.figure import Figure

from workflow_src.config.run import Config
from workflow_src.report.data import Data
from workflow_src.report.latex import typeset
from workflow_src.report.studies import series
from workflow_src.report.tables.captions import how_made


def table(config: Config, data: Data) -> pd.DataFrame:
    """F1 (mean over categories and seeds) by epochs of probes.

    One row for each (policy, method, game, epochs), ``mean`` the last game. Columns: policy,
    method, game, epochs (at most: a variable may stop sooner), f1, f1_std (over seeds, empty with a
    single one).
    """
    study = config.derived.convergence
    epochs = study.epochs | {study.base: config.probe.epochs}
    sizes = {
        protocol: {"epochs": number}
        for protocol, number in sorted(epochs.items(), key=lambda size: size[1])
    }
    return series.table(config, data.scores, "convergence", study, sizes)


def latex(config: Config, table: pd.DataFrame) -> str:
    """The same as LaTeX: a column for each number of epochs."""
    study = config.derived.convergence
    caption = (
        f"Probe F1 (mean over categories) of protocol {study.base} against the epochs for which "
        "probes are fitted, at most: early stopping is as ever. "
        f"{how_made(series.base_alone(config, study))}"
    )
    header = ["Game", *(f"{number:,}" for number in table["epochs"].drop_duplicates())]
    return typeset("convergence", caption, header, series.parts(table))


def figure(config: Config, data: Data) -> Figure:
    """F1 against epochs, see `series.figure`."""
    methods = config.derived.convergence.methods
    return series.figure(config, table(config, data), methods, "epochs", "Epochs of the probe")
