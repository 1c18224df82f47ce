"""Write the table and the figure of a run's agents."""

from collections.abc import Iterable
from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.report.agents.data import read_data
from workflow_src.report.data import maker
from workflow_src.report.figures import style
from workflow_src.report.files import write_table


def write_agents(
    config: Config,
    histories: Iterable[Path],
    evaluations: Iterable[Path],
    reference: Path,
    tables: Path,
    figures: Path,
) -> None:
    """Write what the catalogue has of agents; errors as of `data.read_data`."""
    data = read_data(config, histories, evaluations, reference)
    for one in (one for one in catalogue.select(source="agents") if one.when(config)):
        made_by = maker(one)
        if one.kind == "figure":
            style.save(made_by.figure(config, data), figures / one.key)
        else:
            table = made_by.table(config, data)
            write_table(table, made_by.latex(config, table), tables / one.key)
