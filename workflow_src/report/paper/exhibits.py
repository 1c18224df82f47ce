"""The tables and figures of the paper, by the section that has them."""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from workflow_src import catalogue
from workflow_src.errors import UserError, explained
from workflow_src.report.files import read_latex

APPENDIX = "appendix"
_NARROW = 250  # points: two figures that are not wider are put side by side


class Item(NamedTuple):
    """A table or figure of the paper."""

    kind: str  # table or figure
    file: str  # as LaTeX names it
    label: str
    sentence: str
    caption: str
    wide: bool
    main: bool = True  # or in the appendix


def collect(files: Sequence[Path], folder: Path) -> dict[str, list[Item]]:
    """Copy tables (.tex) and figures (.pdf) into ``folder``; list them by section.

    They are in the order of the catalogue; what it does not have comes last, in the appendix. A
    file in a folder of its exhibit, such as figures/reconstructions, is named after both.
    `UserError` for other files.
    """
    found: dict[str, list[tuple[int, str, Item]]] = {}
    for path in files:
        if path.suffix not in catalogue.IN_PAPER:
            raise UserError(f"{path} is neither a table (.tex) nor a figure (.pdf): leave it out")
        parent = path.parent.name
        name = path.name if parent in ("tables", "figures", "") else f"{parent}-{path.name}"
        if path.suffix == ".tex" and catalogue.find(path.as_posix()):
            content = read_latex(path)
        else:
            with explained("read", path):
                content = path.read_bytes()
        (folder / name).write_bytes(content)
        rank, section, sentence, caption, main = _placed(path, Path(name).stem)
        item = _table if path.suffix == ".tex" else _figure
        entry = rank, name, item(name, content, sentence, caption)._replace(main=main)
        found.setdefault(section, []).append(entry)
    return {section: [item for *_, item in sorted(items)] for section, items in found.items()}


def _placed(path: Path, name: str) -> tuple[int, str, str, str, bool]:
    """A file's rank, section, sentence of the text and caption, and whether it is main."""
    found = catalogue.find(path.as_posix())
    if found is None or found[0].section is None:
        title = f"{re.sub('[_-]', ' ', name).capitalize()}."
        return len(catalogue.EXHIBITS), APPENDIX, "came with the run", title, False
    exhibit, names = found
    rank = catalogue.EXHIBITS.index(exhibit)
    caption = exhibit.named(exhibit.caption, names)
    return rank, str(exhibit.section), exhibit.sentence, caption, exhibit.main


def _table(name: str, content: bytes, sentence: str, caption: str) -> Item:
    """A table, which has its caption and label in its LaTeX."""
    label = re.search(r"\\label\{([^}]*)\}", content.decode(errors="replace"))
    return Item("table", name, label[1] if label else "", sentence, "", True)


def _figure(name: str, content: bytes, sentence: str, caption: str) -> Item:
    """A figure, with its width from the PDF."""
    box = re.search(rb"/MediaBox\s*\[\s*[\d.]+\s+[\d.]+\s+([\d.]+)", content)
    wide = not box or float(box[1]) > _NARROW
    return Item("figure", name, f"fig:{Path(name).stem}", sentence, caption, wide)


def shown_in(items: Mapping[str, Sequence[Item]], section: str) -> list[Item]:
    """What a section shows: its main items; the appendix has its own and all others."""
    if section != APPENDIX:
        return [item for item in items.get(section, []) if item.main]
    rest = [item for name, found in items.items() if name != APPENDIX for item in found]
    return [*(item for item in rest if not item.main), *items.get(APPENDIX, [])]


def in_rows(figures: Sequence[Item]) -> list[list[Item]]:
    """Consecutive figures, in pairs where both are narrow."""
    rows: list[list[Item]] = []
    for figure in figures:
        if rows and len(rows[-1]) == 1 and not (figure.wide or rows[-1][0].wide):
            rows[-1].append(figure)
        else:
            rows.append([figure])
    return rows


def by_sentence(items: Sequence[Item]) -> list[list[Item]]:
    """Items with a label; consecutive ones with the same sentence are grouped."""
    labelled = [item for item in items if item.label]
    groups = itertools.groupby(labelled, lambda item: item.sentence)
    return [list(group) for _, group in groups]
