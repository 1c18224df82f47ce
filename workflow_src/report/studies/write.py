"""Write the table and the figure of a study."""

from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.config.studies import Study
from workflow_src.report.data import read_data
from workflow_src.report.writing import write_exhibits


def write_study(
    config: Config, study: Study, scores: Path, out_tables: Path, out_figures: Path
) -> None:
    """Write a study's tables (CSV, LaTeX) and figures (PDF, PNG) into their folders.

    ``scores`` has the scores of the study's runs. `UserError` or `DamagedFile` when the
    configuration does not have the study, or when scores are missing; then nothing is written.
    """
    config.derived.require(study)
    exhibits = catalogue.select(source=study)
    write_exhibits(config, exhibits, read_data(scores), out_tables, out_figures)
