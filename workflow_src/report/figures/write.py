"""Write the figures of the catalogue, as PDF and PNG."""

from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.report.data import Data, maker, read_data
from workflow_src.report.figures import style


def write_figures(config: Config, scores: Path, out: Path) -> None:
    """Write every figure of scores into the folder ``out``; ``scores`` is scores.csv.

    `UserError` or `DamagedFile` when it is missing or damaged.
    """
    exhibits = catalogue.select("figure", "scores", by_game=False)
    write_exhibits(config, exhibits, read_data(scores), out)


def write_exhibits(
    config: Config, exhibits: list[catalogue.Exhibit], data: Data, out: Path
) -> None:
    """Write the figures ``exhibits`` that the run has into the folder ``out``."""
    for one in exhibits:
        if one.when(config):
            style.save(maker(one).figure(config, data, **one.options), out / one.key)
