"""The methods' pages in docs/methods: one for each kind, with the same sections, and sources that
the paper cites.
"""

import re

import pytest
from papers import METHODS
from scored import settings
from workflow import ROOT

from workflow_src.config.configure import preset_file
from workflow_src.config.reading import read_yaml
from workflow_src.errors import UserError
from workflow_src.report.paper import method_pages
from workflow_src.report.paper.write import TEMPLATE


@pytest.mark.parametrize("page", sorted(METHODS.glob("*.md")), ids=lambda page: page.stem)
def test_pages_have_the_same_sections(page):
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What it learns", "Source", "Settings", "How ours differs", "When to use"]
    assert text.startswith(f"# {page.stem}\n\n")
    assert 15 <= text.count("\n") <= 40
    assert all(
        len(part.strip()) > 20 for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    )
    assert re.search(r"^Files?: ?|File: ?|Files: ", text, re.MULTILINE)
    for file in re.findall(r"`(workflow_src/[\w/]+\.py)`", text):
        assert (ROOT / file).is_file(), file


def test_every_page_belongs_to_a_method():
    kinds = {method_pages.page_of(row) for row in settings().methods.values()}
    later = read_yaml(preset_file("beyond"))["methods"].values()
    kinds |= {f"{row['kind']}.md" for row in later}
    assert {page.name for page in METHODS.glob("*.md")} == kinds | {"custom.md", "agent.md"}


def test_every_arxiv_number_that_a_page_names_is_in_the_references():
    known = set(re.findall(r"\\bibitem\{(\d{4}\.\d{4,5})\}", TEMPLATE.read_text()))
    assert {
        source for page in METHODS.glob("*.md") for source in method_pages.read_page(page).sources
    } <= known


def test_a_page_without_a_sentence_is_refused(tmp_path):
    (tmp_path / "odd.md").write_text("no title\n")
    with pytest.raises(UserError, match=r"odd\.md does not begin with a title"):
        method_pages.read_page(tmp_path / "odd.md")
    with pytest.raises(UserError, match="there is no such file"):
        method_pages.read_page(tmp_path / "none.md")
