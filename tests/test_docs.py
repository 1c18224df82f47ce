"""The documentation site builds without a warning, is complete, and needs no network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_src.config.run import Config

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built from a copy, so that nothing is written into the sources."""
    copy = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs", copy / "docs", ignore=shutil.ignore_patterns("generated"))
    for page in PAGES:
        shutil.copy(ROOT / page, copy)
    built = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
            *("docs", "site"),
        ],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return copy / "site"


def test_every_module_has_its_reference(site):
    text = "".join(page.read_text() for page in (site / "generated/modules").glob("*.html"))
    modules = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in (ROOT / "workflow_src").rglob("*.py")
        if file.stem != "__main__" and file.parent.name != "workflow_src"
    }
    assert len(modules) > 50
    assert {module for module in modules if f'id="module-{module}"' not in text} == set()


def test_names_in_docstrings_are_links(site):
    text = (site / "generated/modules/benchmark.html").read_text()
    assert re.search(r'<a class="reference internal" href="errors.html#[^"]+"', text)


def test_every_section_of_the_configuration_is_in_the_settings(site):
    text = (site / "generated/settings.html").read_text()
    missing = [
        key
        for key in Config.model_fields
        if not re.search(rf'<span class="pre">{key}(\.[\w.-]+)?</span>', text)
    ]
    assert missing == []


def test_the_site_needs_no_network(site):
    """Pages load nothing from elsewhere; links to elsewhere are for people to follow."""
    loaded = []
    for page in site.rglob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text())
        loaded += [tag for tag in tags if re.search(r'(?:src|href)="(?:https?:)?//', tag)]
    for style in site.rglob("*.css"):
        loaded += re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)\"']+", style.read_text())
    assert loaded == []
