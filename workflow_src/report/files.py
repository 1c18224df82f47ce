"""Files of tables, written as CSV and LaTeX. No configuration is needed."""

import hashlib
import os
from pathlib import Path

import pandas as pd

from workflow_src import artifacts
from workflow_src.csv_files import write_csv
from workflow_src.errors import DamagedFile, explained
from workflow_src.paths import place


def write_table(table: pd.DataFrame, latex: str, path: Path) -> None:
    """Write a table as CSV and as the text ``latex``; ``path`` has no extension."""
    write_csv(path.with_name(f"{path.name}.csv"), table.round(6))
    file = path.with_name(f"{path.name}.tex")
    artifacts.write_text(file, f"{latex}{_seal(latex, file)}")


def read_latex(path: Path) -> bytes:
    """The LaTeX of a table of a run; `DamagedFile` unless its last line is its checksum."""
    with explained("read", path):
        content = path.read_bytes()
    text, percent, _ = content.decode(errors="replace").rpartition("% sha256 ")
    if not percent or content.decode(errors="replace") != f"{text}{_seal(text, path)}":
        raise DamagedFile(
            f"{path} is damaged (its checksum does not match, or it was made as another file): "
            "delete it and make it again"
        )
    return content


def _seal(latex: str, path: str | os.PathLike) -> str:
    """A comment with the checksum of what is before it, and the file's place in its run."""
    digest = hashlib.sha256(latex.encode()).hexdigest()
    return f"% sha256 {digest}  {place(path)}".rstrip() + "\n"
