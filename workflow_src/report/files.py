"""Files of tables, written as CSV and LaTeX. No configuration is needed."""

from pathlib import Path

import pandas as pd

from workflow_src import artifacts
from workflow_src.csv_files import write_csv


def write_table(table: pd.DataFrame, latex: str, path: Path) -> None:
    """Write a table as CSV and as the text ``latex``; ``path`` has no extension."""
    write_csv(path.with_name(f"{path.name}.csv"), table.round(6))
    artifacts.write_text(path.with_name(f"{path.name}.tex"), latex)
