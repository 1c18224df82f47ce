"""Write the tables of the catalogue, as CSV and LaTeX."""

from pathlib import Path

import pandas as pd

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.report.data import Data, maker, read_data
from workflow_src.report.files import write_table


def write_tables(config: Config, scores: Path, reference: Path, out: Path) -> None:
    """Write the tables over all games into the folder ``out``.

    ``scores`` is scores.csv, ``reference`` the folder of the published numbers. `UserError` or
    `DamagedFile` when a file is missing, damaged or has another label set; then none is written.
    """
    exhibits = catalogue.select("table", "scores", by_game=False)
    write_exhibits(config, exhibits, read_data(scores, reference), out)


def write_exhibits(
    config: Config, exhibits: list[catalogue.Exhibit], data: Data, out: Path
) -> None:
    """Write the tables ``exhibits`` that the run has into the folder ``out``; all or none."""
    made = {one.key: make(config, one, data) for one in exhibits if one.when(config)}
    for key, (table, latex) in made.items():
        write_table(table, latex, out / key)


def write_variables(config: Config, game: str, scores: Path, reference: Path, out: Path) -> None:
    """Write the table of every variable of one game; ``out`` has no extension, errors as above."""
    (exhibit,) = catalogue.select("table", "scores", by_game=True)
    data = read_data(scores, reference)
    write_table(*make(config, exhibit, data, game=config.game(game)), out)


def make(
    config: Config, exhibit: catalogue.Exhibit, data: Data, **names: str
) -> tuple[pd.DataFrame, str]:
    """The table of an exhibit, and the same as LaTeX; ``names`` has the game, if it is of one."""
    made_by = maker(exhibit)
    table = made_by.table(config, data, **exhibit.options, **names)
    return table, made_by.latex(config, table, **exhibit.options, **names)
