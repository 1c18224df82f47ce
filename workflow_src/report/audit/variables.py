"""The table of a game's label audit, and the command that writes it with its picture.

Measured by `audit.measure`, judged by `audit.verdict`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_src.ari.labels import categories, decoder
from workflow_src.audit import measured as measurements
from workflow_src.audit.measured import of_variables
from workflow_src.audit.verdict import Byte, verdict
from workflow_src.csv_files import write_csv
from workflow_src.report.audit.picture import DPI, block_count, picture
from workflow_src.report.figures import style

# Columns of the table that have the same name in the measurements.
MEASURED = (
    "entropy",
    "changes",
    "pixels",
    "pixels_most",
    "grey",
    "overwritten",
    "moves_x",
    "moves_y",
    "readable",
    "knows_lives",
    "lives_know",
    "at_lives",
    "with_lives",
    "with_rewards",
)


def write_audit(measured: Path, label_set: str, out: Path) -> None:
    """Write one game's table as CSV and its picture as PDF and PNG; ``out`` has no extension.

    `UserError` or `DamagedFile` when ``measured`` is missing, damaged, or of a game that
    ``label_set`` does not have.
    """
    arrays, header = measurements.read(measured)
    table = audit_table(arrays, label_set, header["game"])
    write_csv(out.with_name(f"{out.name}.csv"), table.round(6))
    style.save(picture(arrays, table, label_set, header), out, DPI[block_count(table)])


def audit_table(arrays: dict[str, np.ndarray], label_set: str, game: str) -> pd.DataFrame:
    """A row for each variable of ``label_set``, in its order; columns as in `docs/audit.md`."""
    rows = []
    for name, index, one in of_variables(arrays, decoder(label_set, game)):
        values = np.flatnonzero(one["counts"])
        measured: dict[str, Any] = {field: one[field] for field in Byte._fields}
        judged, reason = verdict(name, Byte(**measured))
        rows.append(
            {
                "variable": name,
                "ram_index": index,
                "categories": " ".join(categories(name)),
                "values": len(values),
                "least": values[0],
                "most": values[-1],
                **{column: one[column] for column in MEASURED},
                "verdict": judged,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)
