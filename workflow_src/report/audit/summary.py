"""The label audit of all games: variables by verdict, and which are not alive and why."""

from pathlib import Path

import pandas as pd

from workflow_src.audit.verdict import ALIVE, VERDICTS
from workflow_src.csv_files import read_csv, write_csv
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.files import write_table
from workflow_src.report.latex import Part, typeset

SUMMARY, VARIABLES = "audit", "audit_variables"


def write_summary(audits: list[Path], out: Path) -> None:
    """Write how many variables have each verdict, by game and label set, and which are not alive.

    ``audits`` are tables of games, named after the game, in a folder named after the label set;
    ``out`` is a folder. `UserError` or `DamagedFile` when one is missing or damaged.
    """
    if not audits:
        raise UserError(
            f"cannot write {out / SUMMARY}: no audits were named; "
            "name the table of at least one game"
        )
    found = {(path.parent.name, path.stem): read_audit(path) for path in audits}
    table = summary(found)
    write_table(table, latex_summary(table), out / SUMMARY)
    write_csv(out / f"{VARIABLES}.csv", not_alive(found))


def read_audit(path: Path) -> pd.DataFrame:
    """Read a game's table; `DamagedFile` for any other file."""
    texts = ["variable", "categories", "verdict", "reason"]
    table = read_csv(path, text=texts, numbers=["ram_index"])
    if table["ram_index"].isna().any():
        raise DamagedFile(
            f"{path} is damaged (a row has no ram_index): delete it and make it again"
        )
    if not set(table["verdict"]) <= set(VERDICTS):
        raise DamagedFile(
            f"{path} is damaged (it has an unknown verdict): delete it and make it again"
        )
    return table.astype({"ram_index": int})


def summary(found: dict[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """How many variables of each (label set, game) have each verdict.

    A row ``total`` follows each label set. Columns: label_set, game, the verdicts, variables.
    """
    counts = [
        {
            "label_set": label_set,
            "game": game,
            **{name: int((table["verdict"] == name).sum()) for name in VERDICTS},
        }
        for (label_set, game), table in found.items()
    ]
    table = pd.DataFrame(counts)
    totals = table.groupby("label_set", sort=False)[list(VERDICTS)].sum().reset_index()
    totals = totals.assign(game="total")
    order = {label_set: number for number, label_set in enumerate(totals["label_set"])}
    table = pd.concat([table, totals]).sort_values(
        "label_set", key=lambda names: names.map(order), kind="stable"
    )
    return table.assign(variables=table[list(VERDICTS)].sum(axis=1)).reset_index(drop=True)


def not_alive(found: dict[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """Every variable that is not alive.

    Columns: label_set, game, variable, ram_index, verdict, reason.
    """
    rows = []
    for (label_set, game), table in found.items():
        rows.append(table[table["verdict"] != ALIVE].assign(label_set=label_set, game=game))
    return pd.concat(rows)[["label_set", "game", "variable", "ram_index", "verdict", "reason"]]


def latex_summary(table: pd.DataFrame) -> str:
    """The summary as LaTeX."""
    caption = (
        "Label audit: variables by verdict. Constant: one value in all frames. Suspicious: what "
        "was measured speaks against what the name says. Alive: nothing does. The frames are those "
        "of "
        "the probes, of the first policy, protocol and seed."
    )
    parts = []
    for label_set, rows in table.groupby("label_set", sort=False):
        lines = rows.drop(columns="label_set").astype(str).to_numpy().tolist()
        parts.append(Part(f"Label set {label_set}", lines[:-1], lines[-1:]))
    header = ["Game", *map(str.capitalize, VERDICTS), "Variables"]
    return typeset(SUMMARY, caption, header, parts)
