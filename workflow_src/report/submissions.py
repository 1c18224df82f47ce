"""Scores that others hand in: the format of scores.csv, checked; and several of them in one table.

A submission says what it measured, variable by variable. Everything else follows from that, and is
computed again: ranges, names, and the means over categories and variables.
"""

import csv
import io
import itertools
import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import itables.options
import pandas as pd
import pydantic
from pydantic import BaseModel, Field

from workflow_src import artifacts
from workflow_src.ari.annotations import GAMES, LABEL_SETS
from workflow_src.ari.annotations import PAPER as OF_PAPER
from workflow_src.ari.labels import variables
from workflow_src.csv_files import read_published
from workflow_src.errors import UserError, explained, unknown
from workflow_src.means import METRICS, OF_NUMBERS, summarise
from workflow_src.report.aggregate import BLOCK, MEAN, MEANS
from workflow_src.report.files import write_table
from workflow_src.report.latex import Part, typeset
from workflow_src.report.names import DASH, method_name
from workflow_src.report.scores import COLUMNS, IDENTITY
from workflow_src.report.tables.captions import PAPER
from workflow_src.report.tables.columns import PUBLISHED_GAMES, RANDOM

LEVELS = ("variable", "category", *MEANS)
PUBLISHED = "published"
# Rounded values may differ by this much from the means of their parts.
_ROUNDED = 1e-3
# Numbers of one row are of the same frames, played and labelled alike.
_ROW = ["label_set", *BLOCK]
# What all names of a configuration and of its studies have; so they need no escapes in a table.
_Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]


class _Row(BaseModel):
    """A row of a submission; `check` says what its values may be."""

    policy: _Name
    protocol: _Name
    method: _Name
    probe: _Name
    game: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    label_set: str
    level: str
    name: str
    metric: str
    value: float


def _read(path: Path) -> pd.DataFrame:
    """The rows of a submission; unlike `read_scores`, which advises to make a wrong file again."""
    with explained("read", path):
        content = path.read_bytes()
    try:
        return pd.DataFrame(_rows(content), columns=COLUMNS)
    except (ValueError, csv.Error) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"{path} is not a file of scores ({why}): write it as in docs/submitting.md"
        ) from error


def _rows(content: bytes) -> Iterator[dict[str, Any]]:
    """The rows of a CSV; ValueError or csv.Error for the first thing wrong."""
    # Spreadsheets write a byte order mark.
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    heads = list(rows.fieldnames or [])
    for column in COLUMNS:
        if (count := heads.count(column)) != 1:
            raise ValueError(f"it has {count} columns {column}, not 1")
    for row in rows:
        if None in row:
            raise ValueError(f"line {rows.line_num} has more cells than there are columns")
        try:
            yield _Row.model_validate(row).model_dump()
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            cell = f"{first['loc'][0]} {reprlib.repr(first['input'])}"
            raise ValueError(f"line {rows.line_num}: {cell}: {first['msg'].lower()}") from error


def check(path: Path) -> pd.DataFrame:
    """Read a submission; `UserError` naming the first thing wrong.

    That is a cell that is not of the format, a name that is not known, a score outside of [0, 1], a
    row that is there twice or not at all, and a mean that is not that of its parts. What a run's
    own scores have beside F1 and accuracy is left out.
    """
    scores = _read(path)
    scores = scores[(scores["level"] != "features") & ~scores["metric"].isin(OF_NUMBERS)]
    if scores.empty:
        raise UserError(f"{path} has no scores: hand in one row for each variable and mean")
    known: Mapping[str, Sequence[str]] = {
        "label_set": LABEL_SETS,
        "level": LEVELS,
        "metric": METRICS,
    }
    for column, names in known.items():
        for name in sorted(set(scores[column]) - set(names)):
            raise UserError(f"{path}: {unknown(column.replace('_', ' '), name, names)}")
    outside = scores[~scores["value"].between(0, 1)]
    if len(outside):
        row = outside.iloc[0]
        raise UserError(
            f"{path}: {_named(row)}, {row['level']} {row['name']}: {row['metric']} is "
            f"{row['value']:g}; scores are from 0 to 1"
        )
    twice = scores[scores.duplicated(COLUMNS[:-1])]
    if len(twice):
        row = twice.iloc[0]
        raise UserError(
            f"{path}: {_named(row)}, {row['level']} {row['name']} is there twice; keep one"
        )
    for _, probe in scores.groupby([*IDENTITY, "label_set"], sort=False):
        _check_probe(path, probe)
    return scores


def _check_probe(path: Path, probe: pd.DataFrame) -> None:
    """Check the rows of one probe against those of its variables."""
    first = probe.iloc[0]
    label_set, game, where = first["label_set"], first["game"], f"{path}: {_named(first)}"
    if game not in GAMES[label_set]:
        raise UserError(f"{where}: {unknown('game', game, GAMES[label_set])}")
    for metric in METRICS:
        rows = probe[probe["metric"] == metric]
        given = rows.set_index(["level", "name"])["value"]
        of_variables = rows[rows["level"] == "variable"].set_index("name")["value"]
        for name in of_variables.index:
            if name not in variables(label_set, game):
                raise UserError(
                    f"{where}: {unknown('variable', name, list(variables(label_set, game)))}"
                )
        if not len(of_variables):
            raise UserError(f"{where}: there is no variable with a value for {metric}; add them")
        expected = _means(of_variables.to_dict(), metric)
        for level, name in itertools.chain(expected, given.index):
            if level == "variable":
                continue
            if (level, name) not in expected:
                raise UserError(f"{where}: {level} {name} has no variable; remove the row")
            if (level, name) not in given.index:
                raise UserError(f"{where}: {level} {name} ({metric}) is missing; add the row")
            apart = abs(given[level, name] - expected[level, name])
            if apart > _ROUNDED:
                raise UserError(
                    f"{where}: {level} {name} ({metric}) is {given[level, name]:g}, and its "
                    f"variables give {expected[level, name]:.4f}; compute it again"
                )


def _means(values: Mapping[str, float], metric: str) -> dict[tuple[str, str], float]:
    """{(level, name): value} of the categories and means that follow from the variables."""
    found = summarise({name: dict.fromkeys(METRICS, value) for name, value in values.items()})
    of_categories = found.pop("categories")
    rows = {("category", name): row[metric] for name, row in of_categories.items()}
    return rows | {(name, ""): row[metric] for name, row in found.items()}


def _named(row: Any) -> str:
    return "/".join(str(row[name]) for name in IDENTITY)


def summary(scores: pd.DataFrame) -> str:
    """What is in a submission, in words."""
    probes = len(scores[IDENTITY].drop_duplicates())
    counts = {name: scores[name].nunique() for name in ("method", "game", "seed")}
    said = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    return f"{probes} probe{'' if probes == 1 else 's'} ({said})"


def compare(sources: Mapping[str, Path], reference: Path, out: Path) -> pd.DataFrame:
    """Write several runs' and submissions' F1 by game as one table, with the published values.

    ``sources``: {name: a run's directory or a CSV}; ``out`` has no extension, and gets CSV, LaTeX
    and a page. One row for each label set, policy, protocol and game, with ``mean`` over the games
    that a column has; a column ``NAME: METHOD`` for each source and method, the mean over seeds of
    its linear or only probe. `UserError` as of `check`, for a source whose name has a meaning, and
    for one that would be written over.
    """
    if not out.name:
        raise UserError("the files to write have no name: name a path without extension with --out")
    written = {out.with_name(f"{out.name}{ending}") for ending in (".csv", ".tex", ".html")}
    files = {
        name: path / "results" / "scores.csv" if path.is_dir() else path
        for name, path in sources.items()
    }
    for name, file in files.items():
        if name in ("", PUBLISHED):
            why = "is that of the published numbers" if name else "is empty"
            raise UserError(f"the name {name!r} of {file} {why}: write NAME={file} with another")
        if file.resolve() in {target.resolve() for target in written}:
            raise UserError(f"{out} would write over the source {file}: choose another --out")
    columns: dict[str, pd.Series] = {}
    for name, file in files.items():
        for method, values in _by_method(check(file)).items():
            columns[f"{name}: {method}"] = values
    table = pd.DataFrame(columns)
    theirs = read_published(reference, PUBLISHED_GAMES[RANDOM][0], text=["game"])
    theirs = theirs.set_index("game")
    theirs = theirs.drop(index=MEAN, errors="ignore")
    games = table.index.get_level_values("game")
    # The published numbers are of one label set and of random agents.
    alike = table.index.get_level_values("policy").str.startswith("random")
    alike &= table.index.get_level_values("label_set") == OF_PAPER
    for method in theirs.columns:
        values = pd.Series(theirs[method].reindex(games).to_numpy(), table.index)
        table[f"{PUBLISHED}: {method}"] = values.where(alike)
    table = table.dropna(axis=1, how="all").sort_index()
    parts = []
    for block, part in table.groupby(_ROW, sort=False):
        index = pd.MultiIndex.from_tuples([(*block, MEAN)], names=[*_ROW, "game"])
        parts += [part, pd.DataFrame([part.mean()], index)]
    whole = pd.concat(parts)
    found = whole.reset_index()
    write_table(found, _latex(found), out)
    artifacts.write_text(out.with_name(f"{out.name}.html"), _page(found))
    return found


def _by_method(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """{method: F1 by (label set, policy, protocol, game)} of each method's linear or only probe."""
    rows = scores[(scores["level"] == MEANS[0]) & (scores["metric"] == "f1")]
    found = {}
    for method, part in rows.groupby("method", sort=False):
        probes = list(part["probe"].unique())
        probe = "linear" if "linear" in probes else probes[0]
        of_probe = part[part["probe"] == probe]
        found[str(method)] = of_probe.groupby([*_ROW, "game"])["value"].mean()
    return found


def _latex(table: pd.DataFrame) -> str:
    names = [name for name in table.columns if name not in (*_ROW, "game")]
    header = ["Game", *(f"{s}: {method_name(m)}" for s, m in (n.split(": ", 1) for n in names))]
    parts = []
    for (label_set, policy, protocol), rows in table.groupby(_ROW, sort=False):
        lines = [
            [
                "Mean" if row["game"] == MEAN else row["game"],
                *(DASH if pd.isna(row[name]) else f"{row[name]:.2f}" for name in names),
            ]
            for _, row in rows.iterrows()
        ]
        parts.append(
            Part(
                f"Label set {label_set}, policy {policy}, protocol {protocol}",
                lines[:-1],
                lines[-1:],
            )
        )
    caption = (
        "Probe F1 (mean over categories and seeds) of several runs. Means are over the games that "
        f"a column has. Published: {PAPER}, random agents."
    )
    return typeset("comparison", caption, header, parts)


def _page(table: pd.DataFrame) -> str:
    """A page with the table, which sorts and filters without a network; readable without scripts.

    The library is the one that a run's own page has (DataTables, MIT, packaged by itables).
    """
    bundle = Path(itables.options.dt_bundle)
    # As a module of its own: its code is text until it is imported.
    library = json.dumps(bundle.read_text(encoding="utf-8")).replace("<", "\\u003c")
    shown = table.to_html(table_id="runs", index=False, border=0, na_rep=DASH, float_format="%.3f")
    title = "Runs compared: probe F1 by game"
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>{bundle.with_suffix(".css").read_text(encoding="utf-8")}</style>
<style>body {{ font-family: sans-serif; margin: 2em }} td {{ text-align: right }}</style>
<h1>{title}</h1>
{shown}
<script type="module">
const code = new Blob([{library}], {{ type: "text/javascript" }});
const DataTable = (await import(URL.createObjectURL(code))).default;
new DataTable("#runs", {{ paging: false, info: false, order: [] }});
</script></html>
"""
