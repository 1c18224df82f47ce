"""Write the table and the figure of a run's agents."""

from collections.abc import Iterable
from pathlib import Path

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.report.agents.data import read_data
from workflow_src.report.writing import write_exhibits


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
    exhibits = [one for one in catalogue.select(source="agents") if one.when(config)]
    write_exhibits(config, exhibits, data, tables, figures)
