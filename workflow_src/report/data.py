"""What tables and figures are made from: our scores and the published numbers."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pandas as pd

from workflow_src.catalogue import Exhibit
from workflow_src.csv_files import read_published
from workflow_src.report.scores import read_scores


@dataclass(frozen=True)
class Data:
    """Our scores, as of `scores.read_scores`, and the folder of the published numbers."""

    scores: pd.DataFrame
    reference: Path | None = None

    def published(self, file: str, *index: str) -> pd.DataFrame:
        """Read published numbers, by the column or columns ``index``.

        `UserError` or `DamagedFile` when the file is missing or damaged.
        """
        assert self.reference is not None, f"{file} needs the folder of the published numbers"
        table = read_published(self.reference, file, text=list(index))
        return table.set_index(index[0] if len(index) == 1 else list(index))


def read_data(scores: Path, reference: Path | None = None) -> Data:
    """Read ``scores`` (scores.csv); ``reference`` is the folder of the published numbers.

    `UserError` or `DamagedFile` when the scores are missing or damaged.
    """
    return Data(read_scores(scores), reference)


def maker(exhibit: Exhibit) -> ModuleType:
    """The file of `report` that makes an exhibit: ``table`` and ``latex``, or ``figure``."""
    return importlib.import_module(f"workflow_src.{exhibit.module}")
