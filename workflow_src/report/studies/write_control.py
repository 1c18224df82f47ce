"""Write the tables and the figure of the control study."""

from collections.abc import Iterable
from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.report.data import maker
from workflow_src.report.figures import style
from workflow_src.report.files import write_table
from workflow_src.report.studies.control import read_control
from workflow_src.report.tables.write import make


def write_control(
    config: Config,
    scores: Path,
    evaluations: Iterable[Path],
    reference: Path,
    out_tables: Path,
    out_figures: Path,
) -> None:
    """Write the study's tables (CSV, LaTeX) and its figure (PDF, PNG) into their folders.

    `UserError` or `DamagedFile` when files are missing; then nothing is written.
    """
    data = read_control(scores, evaluations, reference)
    tables = {one.key: make(config, one, data) for one in catalogue.select("table", "control")}
    figures = {
        one.key: maker(one).figure(config, data) for one in catalogue.select("figure", "control")
    }
    for key, (table, latex) in tables.items():
        write_table(table, latex, out_tables / key)
    for key, figure in figures.items():
        style.save(figure, out_figures / key)
