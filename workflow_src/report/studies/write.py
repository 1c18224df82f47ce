"""Write the table and the figure of a study."""

from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.config.studies import Study
from workflow_src.report.data import maker, read_data
from workflow_src.report.figures import style
from workflow_src.report.files import write_table
from workflow_src.report.tables.write import make


def write_study(
    config: Config, study: Study, scores: Path, out_tables: Path, out_figures: Path
) -> None:
    """Write a study's tables (CSV, LaTeX) and figures (PDF, PNG) into their folders.

    ``scores`` has the scores of the study's runs. `UserError` or `DamagedFile` when the
    configuration does not have the study, or when scores are missing; then nothing is written.
    """
    config.derived.require(study)
    data = read_data(scores)
    tables = {one.key: make(config, one, data) for one in catalogue.select("table", study)}
    figures = {
        one.key: maker(one).figure(config, data, **one.options)
        for one in catalogue.select("figure", study)
    }
    for key, (table, latex) in tables.items():
        write_table(table, latex, out_tables / key)
    for key, figure in figures.items():
        style.save(figure, out_figures / key)
