"""Write the tables and the figure of the control study."""

from collections.abc import Iterable
from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.report.studies.control import read_control
from workflow_src.report.writing import write_exhibits


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
    write_exhibits(config, catalogue.select(source="control"), data, out_tables, out_figures)
