"""paper.pdf: a short paper of a run, whose every number, table and picture comes from files that the workflow made.

The template (templates/paper.tex.jinja) has the words and no numbers; here stands what they are
filled with: facts from the scores, settings from the configuration, what a method learns from the
first paragraph of its page in docs/methods. Sentences about what a run does not have are left out.
"""

import hashlib
import importlib.metadata
import itertools
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from workflow_src import __version__, artifacts, layout
from workflow_src.ari.labels import CATEGORIES
from workflow_src.config.methods import Method
from workflow_src.config.run import Config
from workflow_src.errors import UserError, explained
from workflow_src.report import latex, tables, typeset
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.method_pages import page_of, read_page
from workflow_src.report.names import CATEGORY_NAMES, DASH, PROBE_NAMES, method_name, switches
from workflow_src.report.scores import read_csv, read_scores

TEMPLATE = Path(__file__).parent / "templates" / "paper.tex.jinja"
SETTINGS = "paper_settings.csv"
APPENDIX = "appendix"


class Place(NamedTuple):
    """Where a table or figure stands in the paper, what the text says of it, and a figure's caption (tables bring theirs)."""

    section: str
    about: str
    caption: str = ""


# By the file's name, in the order in which they come. Of several patterns the first holds; what is
# not named here goes to the appendix.
PLACES = {
    "table1_*.tex": Place("benchmark", "counts the state variables of each game by category"),
    "table2_f1_by_game.tex": Place("results", "has F1 by game and method, beside the published"),
    "f1_by_game.pdf": Place(
        "results",
        "shows the same as colours",
        "Probe F1 (mean over categories and seeds); a dash on grey: none.",
    ),
    "iqm.tex": Place("results", "has interquartile means, which no single easy or hard game moves"),
    "iqm.pdf": Place(
        "results",
        "draws them",
        "Interquartile mean of the probe F1 over games and seeds, by method.",
    ),
    "table3_f1_by_category.tex": Place("results", "has F1 by category of variables"),
    "f1_by_category.pdf": Place(
        "results", "shows F1 by category", "Probe F1 by category of variables and method."
    ),
    "f1_by_probe.tex": Place("results", "says what the kind of probe and of mean is worth"),
    "ablations.pdf": Place(
        "results", "compares the ablations", "Probe F1 of the method and its ablations."
    ),
    "scaling.tex": Place("results", "has F1 against the frames collected for the encoder"),
    "scaling.pdf": Place(
        "results", "draws it", "Probe F1 against the frames collected for the encoder."
    ),
    "reproduction_*.tex": Place("published", "sets an earlier reproduction beside ours"),
    "ledger.tex": Place("ledger", "has the differences"),
    "ledger.pdf": Place(
        "ledger", "draws them", "What each quirk of the published code is worth in F1, by method."
    ),
    "audit*.tex": Place("audit", "counts variables by verdict, in each game and label set"),
    "table2_accuracy_by_game.tex": Place(APPENDIX, "has accuracy by game and method"),
    "table3_accuracy_by_category.tex": Place(APPENDIX, "has accuracy by category"),
    "table4_*.tex": Place(APPENDIX, "has every variable of one game"),
    "learning_curves.pdf": Place(
        APPENDIX,
        "has the losses of the trainings",
        "Losses of training and validation by epoch, a line a game and seed.",
    ),
    "reconstructions-*.pdf": Place(
        APPENDIX,
        "shows what decoders make of frames",
        "Frames of validation, and what the decoders make of them.",
    ),
}

# The published settings as a person calls them.
_SETTINGS = {
    "games": "games",
    "episodes.frames.pretrain": "frames a game for encoders",
    "episodes.frames.probe": "frames a game for probes",
    "training.epochs": "epochs of encoders at most",
    "training.patience": "patience of encoders",
    "training.batch_size": "batch size of encoders",
    "training.lr": "learning rate of encoders",
    "probe.epochs": "epochs of probes at most",
    "probe.patience": "patience of probes",
    "probe.batch_size": "batch size of probes",
    "probe.classes": "classes of a probe",
    "splits.min_entropy": "least entropy of a variable (nats)",
}
# Those of which less is a smaller run.
_SCALE = (
    "games",
    "episodes.frames.pretrain",
    "episodes.frames.probe",
    "training.epochs",
    "probe.epochs",
)
_VERSIONS = (
    "ale-py",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "opencv-python-headless",
    "snakemake",
)
# Points: what a page is wide, a letter of the table of protocols, its columns' gaps, and the least
# column of sentences.
_WIDTH, _LETTER, _GAP, _LEAST = 480, 4.2, 10, 120
_SHOWN = 3  # of the largest differences
_NARROW = 250  # points: two figures that are not wider stand side by side


class Latex(str):
    """Text that is LaTeX already: all other that the template is given is escaped."""


# What is read.


class Item(NamedTuple):
    """A table or figure of the paper."""

    kind: str  # table or figure
    file: str  # what LaTeX calls it
    label: str
    about: str
    caption: str
    wide: bool


def place(name: str) -> Place:
    """Where a file of this name stands; in the appendix, if it is unknown."""
    found = next((place for pattern, place in PLACES.items() if fnmatch(name, pattern)), None)
    return found or Place(
        APPENDIX,
        "came with the run",
        Path(name).stem.replace("_", " ").replace("-", " ").capitalize() + ".",
    )


def collect(files: Sequence[Path], folder: Path) -> dict[str, list[Item]]:
    """Copy tables (.tex) and figures (.pdf) into ``folder``, and list them by the section in which they stand.

    A figure in a folder of its own kind, such as figures/reconstructions, is called after both.
    `UserError` for other files.
    """
    order = list(PLACES)
    found: dict[str, list[tuple[int, str, Item]]] = {}
    for path in files:
        parent = path.parent.name
        name = path.name if parent in ("tables", "figures", "") else f"{parent}-{path.name}"
        if path.suffix not in (".tex", ".pdf"):
            raise UserError(f"{path} is neither a table (.tex) nor a figure (.pdf): leave it out")
        with explained("read", path):
            content = path.read_bytes()
        (folder / name).write_bytes(content)
        where = place(name)
        rank = next((i for i, pattern in enumerate(order) if fnmatch(name, pattern)), len(order))
        if path.suffix == ".tex":
            label = re.search(r"\\label\{([^}]*)\}", content.decode(errors="replace"))
            item = Item("table", name, label[1] if label else "", where.about, "", True)
        else:
            box = re.search(rb"/MediaBox\s*\[\s*[\d.]+\s+[\d.]+\s+([\d.]+)", content)
            item = Item(
                "figure",
                name,
                f"fig:{Path(name).stem}",
                where.about,
                where.caption,
                not box or float(box[1]) > _NARROW,
            )
        found.setdefault(where.section, []).append((rank, name, item))
    return {section: [item for *_, item in sorted(items)] for section, items in found.items()}


def rows_of(figures: Sequence[Item]) -> list[list[Item]]:
    """Figures that follow one another, in pairs where both are narrow."""
    rows: list[list[Item]] = []
    for figure in figures:
        if rows and len(rows[-1]) == 1 and not (figure.wide or rows[-1][0].wide):
            rows[-1].append(figure)
        else:
            rows.append([figure])
    return rows


def alike(items: Sequence[Item]) -> list[list[Item]]:
    """Items that have a number, those that follow one another and of which the same is said together."""
    return [
        list(group)
        for _, group in itertools.groupby(
            (item for item in items if item.label), lambda item: item.about
        )
    ]


# What is computed.


@dataclass(frozen=True)
class Mean:
    """A method's F1, mean over categories, seeds and games; NaN for what there is not."""

    method: str
    ours: float
    spread: float  # over seeds
    published: float  # of the same games

    @property
    def difference(self) -> float:
        """Ours less the published."""
        return self.ours - self.published


class Cell(NamedTuple):
    """A method's F1 in a game."""

    method: str
    game: str
    ours: float
    published: float

    @property
    def difference(self) -> float:
        """Ours less the published."""
        return self.ours - self.published


class Above(NamedTuple):
    """In how many games one method is above another, and in how many of those published."""

    method: str
    ours: int
    published: int | None


class Baseline(NamedTuple):
    """Who is above a method that learns nothing, in how many games."""

    method: str
    above: list[Above]


@dataclass(frozen=True)
class Block:
    """What the scores of one policy and protocol say."""

    policy: str
    protocol: str
    games: int
    means: list[Mean]  # from the highest
    first: int  # games in which the highest of them is also the highest
    baselines: list[Baseline]
    easiest: tuple[str, float] | None  # category and F1 of the method with the highest mean
    hardest: tuple[str, float] | None
    cells: list[Cell]  # where both are, from the largest difference
    ordered: int  # pairs of methods whose means stand in the published order
    pairs: int

    @property
    def compared(self) -> list[Mean]:
        """The means that have a published counterpart."""
        return [mean for mean in self.means if pd.notna(mean.published)]

    @property
    def apart(self) -> float:
        """The mean of the differences' sizes."""
        return sum(abs(cell.difference) for cell in self.cells) / len(self.cells)

    @property
    def higher(self) -> int:
        """How many of ours are above the published."""
        return sum(cell.difference > 0 for cell in self.cells)


def facts(config: Config, by_game: pd.DataFrame, by_category: pd.DataFrame) -> list[Block]:
    """What stands in the tables of F1 by game and by category, of each policy and protocol that has any score."""
    found = []
    for names, rows in by_game.groupby(BLOCK, sort=False):
        rows = rows.set_index("game")
        mean, games = rows.loc["mean"], rows.drop(index="mean")
        methods = [method for method in config.methods if pd.notna(mean[method])]
        games = games.dropna(subset=methods, how="all")
        if not methods:
            continue
        means = [
            Mean(m, mean[m], mean.get(f"{m}_std", float("nan")), mean[f"{m}_paper"])
            for m in methods
        ]
        means.sort(key=lambda one: -one.ours)
        cells = [
            Cell(m, game, games.at[game, m], games.at[game, f"{m}_paper"])
            for m in methods
            for game in games.index
        ]
        cells = [cell for cell in cells if pd.notna(cell.difference)]
        best = means[0].method
        part = (
            by_category[(by_category[BLOCK] == list(names)).all(axis=1)]
            .set_index("category")[best]
            .dropna()
            .sort_values()
        )
        ends = [(part.index[i], part.iloc[i]) for i in (-1, 0)] if len(part) > 1 else [None, None]
        both = list(itertools.combinations([one for one in means if pd.notna(one.published)], 2))
        found.append(
            Block(
                *names,
                games=len(games),
                means=means,
                first=int((games[methods].idxmax(axis=1) == best).sum()),
                baselines=_baselines(config, games, methods),
                easiest=ends[0],
                hardest=ends[1],
                cells=sorted(cells, key=lambda cell: -abs(cell.difference)),
                ordered=sum(one.published >= two.published for one, two in both),
                pairs=len(both),
            )
        )
    return found


def _baselines(config: Config, games: pd.DataFrame, methods: list[str]) -> list[Baseline]:
    """Compare all that learns with untrained encoders, and these, or else all that learns, with what has no encoder."""
    learned = [method for method in methods if config.methods[method].learns_from is not None]
    untrained = [
        method for method in methods if method not in learned and config.methods[method].has_encoder
    ]
    majority = [method for method in methods if not config.methods[method].has_encoder]
    found = [Baseline(method, _above(games, learned, method)) for method in untrained]
    return found + [
        Baseline(method, _above(games, untrained or learned, method)) for method in majority
    ]


def _above(games: pd.DataFrame, methods: list[str], baseline: str) -> list[Above]:
    found = []
    for method in methods:
        published = games[[f"{method}_paper", f"{baseline}_paper"]].dropna()
        count = (
            int((published.iloc[:, 0] > published.iloc[:, 1]).sum())
            if len(published) == len(games)
            else None
        )
        found.append(Above(method, int((games[method] > games[baseline]).sum()), count))
    return found


class Setting(NamedTuple):
    """A setting of this run beside the published."""

    name: str
    ours: str
    published: str
    smaller: bool


def settings(config: Config, published: pd.DataFrame) -> list[Setting]:
    """The published settings and this run's; learning rates of probes are the protocols'."""
    found = []
    for name, theirs in published["published"].items():
        value: Any = config
        for key in name.split("."):
            value = getattr(value, key)
        ours = float(len(value) if isinstance(value, list) else value)
        found.append(
            Setting(
                _SETTINGS.get(name, name),
                number(ours),
                number(theirs),
                name in _SCALE and ours < theirs,
            )
        )
    return found


def number(value: float) -> str:
    """A setting as text: 100,000 or 0.0003."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


class Switch(NamedTuple):
    """A switch of the protocols: its quirk, what it decides, and what it is set to in each."""

    quirk: str
    name: str
    about: str
    set_to: list[str]


def about_width(config: Config, found: list[Switch]) -> int | None:
    """Points for the column that says what a switch decides, or None where the protocols leave no room for it."""
    columns = [len("quirk"), max(len(switch.name) for switch in found)]
    for i, protocol in enumerate(config.protocols):
        columns.append(max(len(protocol), *(len(switch.set_to[i]) for switch in found)))
    left = int(_WIDTH - sum(_LETTER * width + _GAP for width in columns))
    return left if left >= _LEAST else None


def changes(row: Method) -> str:
    """What a row of ``methods`` sets beside its kind, options with their defaults: "beta 1.0, epochs 20"."""
    own = row.model_dump(
        exclude_defaults=True, exclude={"kind", "options", "module", "kwargs", "weights"}
    )
    return ", ".join(f"{name} {value}" for name, value in (row.resolved_options | own).items())


def artifacts_of(config: Config) -> dict[str, list[str]]:
    """The files that each step makes."""
    made = {
        "episodes": layout.episodes,
        "splits": layout.splits,
        "encoders": layout.encoders,
        "probes": layout.probes,
    }
    return {step: files(config) for step, files in made.items()}


# What is written.


def render(
    config: Config,
    scores: Path,
    reference: Path,
    methods: Path,
    files: Sequence[Path],
    folder: Path,
) -> Path:
    """Write the paper's LaTeX, with all that it includes, into ``folder``; the path of its main file.

    ``scores`` is scores.csv, ``reference`` the folder of the published numbers, ``methods`` that of
    the methods' pages, ``files`` tables (.tex) and figures (.pdf).
    """
    ours = read_scores(scores)
    games = read_csv(reference / tables.REFERENCE2, text=["game"]).set_index("game")
    categories = read_csv(reference / tables.REFERENCE3, text=["category"]).set_index("category")
    published = read_csv(
        reference / SETTINGS, text=["setting", "source"], numbers=["published"]
    ).set_index("setting")
    blocks = facts(
        config, tables.by_game(config, ours, games), tables.by_category(config, ours, categories)
    )
    pages = {method: read_page(methods / page_of(row)) for method, row in config.methods.items()}
    found = [
        Switch(quirk, f"{section}.{name}", about, list(values.values()))
        for quirk, section, name, about, values in switches(config)
    ]
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
        "number": number,
        "percent": lambda share: f"{share:.0%}",
        "listed": _listed,
        "counted": _counted,
        "prose": _prose,
        "cells": lambda texts: Latex(" & ".join(map(latex.escape, texts))),
        "rows": rows_of,
        "alike": alike,
    }
    text = environment.get_template(TEMPLATE.name).render(
        config=config,
        version=__version__,
        blocks=blocks,
        pages=pages,
        cited={source for page in pages.values() for source in page.sources},
        changes={method: changes(row) for method, row in config.methods.items()},
        items=collect(files, folder),
        settings=settings(config, published),
        switches=found,
        about_width=about_width(config, found),
        categories=len(CATEGORIES),
        probes=[PROBE_NAMES[kind] for kind in config.probe.kinds],
        shown=_SHOWN,
        published_labels=tables.PUBLISHED_LABELS,
        compared=[block for block in blocks if block.cells],
        artifacts={step: len(made) for step, made in artifacts_of(config).items()},
        folders=len({Path(file).parent for made in artifacts_of(config).values() for file in made}),
        inputs=len(files),
        sha256=hashlib.sha256(scores.read_bytes()).hexdigest(),
        versions={name: importlib.metadata.version(name).partition("+")[0] for name in _VERSIONS},
        python=platform.python_version(),
    )
    source = folder / "paper.tex"
    source.write_text(text)
    return source


def write_paper(
    config: Config, scores: Path, reference: Path, methods: Path, files: Sequence[Path], out: Path
) -> None:
    """Write the paper as PDF; arguments as of `render`.

    `UserError` where LaTeX is missing, before anything else, or where it fails; its log is then
    kept beside ``out``.
    """
    typeset.program()
    artifacts.check_writable(out)
    with artifacts.scratch(out) as folder:
        source = render(config, scores, reference, methods, files, folder)
        typeset.compile(source, keep=out.with_suffix(".log"))
        with artifacts.atomic(out) as temporary:
            shutil.copyfile(source.with_suffix(".pdf"), temporary)


def _listed(texts: Sequence[Any]) -> str:
    """Join texts as a sentence does: "a, b and c"."""
    *others, last = map(str, texts)
    return f"{', '.join(others)} and {last}" if others else last


def _counted(count: int, thing: str, things: str = "") -> str:
    """Say how many there are: "1 game", "1,452 files"."""
    return f"{number(count)} {thing if count == 1 else things or thing + 's'}"


def _prose(text: str) -> Latex:
    """A page's sentence, with its `code`, as LaTeX."""
    parts = re.split(r"`([^`]*)`", text)
    return Latex(
        "".join(
            rf"\texttt{{{latex.escape(part)}}}" if i % 2 else latex.escape(part)
            for i, part in enumerate(parts)
        )
    )
