"""The methods' pages in docs/methods: the one place that says in words what a method does, for people and for the paper."""

import re
from dataclasses import dataclass
from pathlib import Path

from workflow_src.config.methods import Method
from workflow_src.errors import UserError, explained

_CITED = re.compile(r"arXiv (\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class Page:
    """What a method's page says: one sentence of what it does, and its sources by their arXiv numbers."""

    sentence: str  # without its full stop
    sources: list[str]


def page_of(row: Method) -> str:
    """The name of the page of a row of ``methods``, in docs/methods."""
    return "maj-clf.md" if row.kind == "majority" else f"{row.kind}.md"


def read_page(path: Path) -> Page:
    """Read a method's page; `UserError` when it does not begin with a title and a paragraph."""
    with explained("read", path):
        text = path.read_text()
    found = re.match(r"# .+\n\n((?:\S.*\n)+)", text)
    if found is None:
        raise UserError(
            f"{path} does not begin with a title and a paragraph: write what the method does, in one sentence"
        )
    source = re.search(r"^## Source\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return Page(
        " ".join(found[1].split()).rstrip("."),
        list(dict.fromkeys(_CITED.findall(source[1]))) if source else [],
    )
