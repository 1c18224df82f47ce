"""Write the paper of a run: its template filled in, and typeset by LaTeX."""

import hashlib
import importlib.metadata
import platform
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from workflow_src import __version__, artifacts
from workflow_src.ari.labels import CATEGORIES
from workflow_src.config.run import Config
from workflow_src.csv_files import read_published
from workflow_src.report import latex
from workflow_src.report.data import read_data
from workflow_src.report.names import CATEGORY_NAMES, DASH, method_name, probe_name, switches
from workflow_src.report.paper import settings, typeset
from workflow_src.report.paper.exhibits import by_sentence, collect, in_rows, shown_in
from workflow_src.report.paper.facts import facts
from workflow_src.report.paper.method_pages import page_of, read_page
from workflow_src.report.paper.settings import number_text
from workflow_src.report.tables import by_category, by_game
from workflow_src.report.tables.captions import PUBLISHED_LABELS

TEMPLATE = Path(__file__).parent / "templates" / "paper.tex.jinja"

_PACKAGES = (
    "ale-py",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "opencv-python-headless",
    "snakemake",
)
_SHOWN = 3  # of the largest differences


class Latex(str):
    """Text that is LaTeX already: all other text of the template's variables is escaped."""


def write_paper(
    config: Config, scores: Path, reference: Path, methods: Path, files: Sequence[Path], out: Path
) -> None:
    """Write the paper as PDF; arguments as of `render`.

    `UserError` if LaTeX is missing, before anything else, or if it fails; its log is then kept next
    to ``out``.
    """
    typeset.program()
    artifacts.check_writable(out)
    with artifacts.scratch(out) as folder:
        source = render(config, scores, reference, methods, files, folder)
        typeset.compile(source, keep=out.with_suffix(".log"))
        with artifacts.atomic(out) as temporary:
            shutil.copyfile(source.with_suffix(".pdf"), temporary)


def render(
    config: Config,
    scores: Path,
    reference: Path,
    methods: Path,
    files: Sequence[Path],
    folder: Path,
) -> Path:
    """Write the paper's LaTeX, with all that it includes, into ``folder``; return its main file.

    ``scores`` is scores.csv, ``reference`` the folder of the published numbers, ``methods`` that of
    the methods' pages, ``files`` tables (.tex) and figures (.pdf).
    """
    content = _scores(config, scores, reference) | _settings(config, reference)
    content |= _methods(config, methods) | _files(config)
    text = (
        _environment()
        .get_template(TEMPLATE.name)
        .render(
            **content,
            config=config,
            version=__version__,
            items=collect(files, folder),
            inputs=len(files),
        )
    )
    source = folder / "paper.tex"
    source.write_text(text)
    return source


def _scores(config: Config, scores: Path, reference: Path) -> dict[str, Any]:
    """What the template says about the scores."""
    data = read_data(scores, reference)
    blocks = facts(config, by_game.table(config, data), by_category.table(config, data))
    return {
        "blocks": blocks,
        "compared": [block for block in blocks if block.scores],
        "shown": _SHOWN,
        "categories": len(CATEGORIES),
        "probes": [*map(probe_name, config.probe.kinds)],
        "published_labels": PUBLISHED_LABELS,
        "sha256": hashlib.sha256(scores.read_bytes()).hexdigest(),
    }


def _settings(config: Config, reference: Path) -> dict[str, Any]:
    """What the template says about the run's settings."""
    published = read_published(
        reference, settings.PUBLISHED, text=["setting", "source"], numbers=["published"]
    )
    found = switches(config)
    return {
        "settings": settings.compared_settings(config, published.set_index("setting")),
        "switches": found,
        "meaning_width": settings.meaning_width(config, found),
    }


def _methods(config: Config, methods: Path) -> dict[str, Any]:
    """What the template says about the methods."""
    pages = {method: read_page(methods / page_of(row)) for method, row in config.methods.items()}
    return {
        "pages": pages,
        "cited": set().union(*(page.sources for page in pages.values())),
        "changes": {
            method: settings.method_settings(row) for method, row in config.methods.items()
        },
    }


def _files(config: Config) -> dict[str, Any]:
    """What the template says about files and versions."""
    made = settings.files_by_step(config)
    folders = set()
    for files in made.values():
        folders |= {Path(file).parent for file in files}
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in _PACKAGES}
    return {
        "artifacts": {step: len(files) for step, files in made.items()},
        "folders": len(folders),
        "versions": versions,
        "python": platform.python_version(),
    }


def _environment() -> jinja2.Environment:
    """The template's language: `<% %>` for blocks, `<< >>` for values, which are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Latex) else latex.escape(str(value)),
    )
    environment.filters |= {
        "latex": Latex,
        "name": method_name,
        "f1": lambda value: DASH if pd.isna(value) else f"{value:.2f}",
        "signed": lambda value: f"{value:+.2f}".replace("-", "−"),
        "category": CATEGORY_NAMES.get,
        "number": number_text,
        "percent": lambda share: f"{share:.0%}",
        "listed": _listed,
        "counted": _counted,
        "prose": _prose,
        "cells": lambda texts: Latex(" & ".join(map(latex.escape, texts))),
        "rows": in_rows,
        "by_sentence": by_sentence,
        "shown_in": shown_in,
    }
    return environment


def _listed(texts: Sequence[Any]) -> str:
    """Join texts as in a sentence: "a, b and c"."""
    *others, last = map(str, texts)
    return f"{', '.join(others)} and {last}" if others else last


def _counted(count: int, thing: str, things: str = "") -> str:
    """A number of things: "1 game", "1,452 files"."""
    return f"{number_text(count)} {thing if count == 1 else things or thing + 's'}"


def _prose(text: str) -> Latex:
    """A sentence with `code`, as LaTeX."""
    parts = [latex.escape(part) for part in re.split(r"`([^`]*)`", text)]
    parts[1::2] = [rf"\texttt{{{part}}}" for part in parts[1::2]]
    return Latex("".join(parts))
