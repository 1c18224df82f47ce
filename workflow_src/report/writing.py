"""Write tables and figures that are made from the same data."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.report.data import maker
from workflow_src.report.figures import style
from workflow_src.report.files import write_table


def write_exhibits(
    config: Config, exhibits: Iterable[catalogue.Exhibit], data: Any, tables: Path, figures: Path
) -> dict[str, pd.DataFrame]:
    """Write ``exhibits`` into the folders ``tables`` (CSV, LaTeX) and ``figures`` (PDF, PNG).

    ``data`` is what their files take. All are made before any is written. Returns the tables by
    key.
    """
    made, drawn = {}, {}
    for one in exhibits:
        made_by = maker(one)
        if one.kind == "figure":
            drawn[one.key] = made_by.figure(config, data, **one.options)
        else:
            table = made_by.table(config, data, **one.options)
            made[one.key] = table, made_by.latex(config, table, **one.options)
    for key, (table, latex) in made.items():
        write_table(table, latex, tables / key)
    for key, figure in drawn.items():
        style.save(figure, figures / key)
    return {key: table for key, (table, _) in made.items()}
