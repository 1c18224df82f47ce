"""The methods' pages in docs/methods, from which the paper takes what a method does."""

import re
from dataclasses import dataclass
from pathlib import Path

from workflow_src.config.methods import Method
from workflow_src.errors import UserError, explained

_CITED = re.compile(r"arXiv (\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class Page:
    """A method's page: one sentence on what it does, and the arXiv numbers of its sources."""

    sentence: str  # without the full stop
    sources: list[str]


def page_of(row: Method) -> str:
    """The name of the page of an entry of ``methods``, in docs/methods."""
    return "maj-clf.md" if row.kind == "majority" else f"{row.kind}.md"


def read_page(path: Path) -> Page:
    """Read a method's page; `UserError` if it does not begin with a title and a paragraph."""
    with explained("read", path):
        text = path.read_text()
    found = re.match(r"# .+\n\n((?:\S.*\n)+)", text)
    if found is None:
        raise UserError(
            f"{path} does not begin with a title and a paragraph: "
            "describe the method in one sentence below the title"
        )
    source = re.search(r"^## Source\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    sources = dict.fromkeys(_CITED.findall(source[1])) if source else {}
    return Page(" ".join(found[1].split()).rstrip("."), list(sources))
