"""The catalogue of exhibits: every table and figure of a run, declared once.

The list of files in `layout`, the report's commands, Snakemake's captions, the page and the paper
all read `exhibits.EXHIBITS`, in its order.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workflow_src.ari.annotations import LABEL_SETS
from workflow_src.catalogue.exhibit import (
    FOLDERS,
    IN_PAPER,
    ON_PAGE,
    Exhibit,
    Kind,
    Source,
)
from workflow_src.catalogue.exhibits import EXHIBITS, PAPER, ablated

if TYPE_CHECKING:
    from workflow_src.config.run import Config

__all__ = [
    "EXHIBITS",
    "FOLDERS",
    "IN_PAPER",
    "ON_PAGE",
    "PAPER",
    "Exhibit",
    "ablated",
    "files",
    "find",
    "in_paper",
    "on_page",
    "select",
]


def select(
    kind: Kind | None = None, source: Source | None = None, by_game: bool | None = None
) -> list[Exhibit]:
    """The exhibits of a kind, of a source, of each game or of the whole run."""
    return [
        one
        for one in EXHIBITS
        if kind in (None, one.kind)
        and source in (None, one.source)
        and by_game in (None, one.by_game)
    ]


def files(
    config: "Config", exhibits: Iterable[Exhibit], endings: Iterable[str] | None = None
) -> list[str]:
    """The files of ``exhibits`` in a run, as of `Exhibit.files`."""
    return [file for one in exhibits for file in one.files(config, endings)]


def find(path: str) -> tuple[Exhibit, dict[str, str]] | None:
    """The exhibit of a file, and the game and label set in its name; None for an unknown file.

    Only the last folders count, such as ``tables/iqm.csv``: a run can be anywhere.
    """
    stem, dot, ending = path.rpartition(".")
    for one in EXHIBITS:
        if dot + ending in one.endings:
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(one.key))
            found = re.fullmatch(rf"(?:.*/)?{FOLDERS[one.kind]}/{pattern}", stem)
            names = found.groupdict() if found else {}
            if found and names.get("label_set", LABEL_SETS[0]) in LABEL_SETS:
                return one, names
    return None


def on_page(config: "Config") -> list[str]:
    """The files that the page shows, in its order."""
    found = []
    for one in EXHIBITS:
        found += one.files(config, ON_PAGE)
    return found


def in_paper(config: "Config") -> list[str]:
    """The files that the paper includes, in its order; of those of each game, one game's."""
    found = []
    for one in EXHIBITS:
        if one.section is not None:
            files = one.files(config, IN_PAPER)
            game = one.published_game if one.published_game in config.games else config.games[0]
            found += [file for file in files if not one.by_game or f"/{game}." in file]
    return found
