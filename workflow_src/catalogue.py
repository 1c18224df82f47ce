"""The catalogue of exhibits: every table and figure of a run, declared once.

The list of files in `layout`, the report's commands, Snakemake's captions, the page and the paper
all read `EXHIBITS`, in its order. A new table or figure is a file in `workflow_src/report/tables/`
or `workflow_src/report/figures/`, named after its key, and one entry here.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from workflow_src.ari.labels import GAMES, LABEL_SETS

if TYPE_CHECKING:
    from workflow_src.config.run import Config

Kind = Literal["table", "figure", "audit", "document"]
# What an exhibit is made from; the files of one source are made together, by the rules of that source.
Source = Literal["scores", "histories", "examples", "audit", "ledger", "scaling"]
# Sections of the paper.
Section = Literal["benchmark", "results", "published", "ledger", "audit", "appendix"]
# Parts of a game's own view on the page.
GamePart = Literal["frames", "probes", "labels", "learning", "reconstructions"]

FOLDERS: dict[Kind, str] = {
    "table": "tables",
    "figure": "figures",
    "audit": "audit",
    "document": "",
}
EXTENSIONS: dict[Kind, tuple[str, ...]] = {
    "table": (".csv", ".tex"),
    "figure": (".pdf", ".png"),
    "audit": (".csv", ".pdf", ".png"),
    "document": (".pdf",),
}
HEADINGS: dict[Kind, str] = {
    "table": "Tables",
    "figure": "Figures",
    "audit": "Label audit",
    "document": "Paper",
}
# What the page can show, and what LaTeX can include.
ON_PAGE = (".csv", ".png", ".gif")
IN_PAPER = (".tex", ".pdf")


@dataclass(frozen=True)
class Exhibit:
    """A table or a figure of a run.

    Texts can hold {game} and {label_set}, as the key can: such an exhibit is made once for each
    game, or for each label set and game.
    """

    key: str
    kind: Kind
    title: str
    # A sentence or two: on the page, in Snakemake's report and, for a figure, in the paper.
    caption: str
    # Where the paper has it, or None for not at all; "Table 3 {sentence}." is what its text says.
    section: Section | None = None
    sentence: str = ""
    when: Callable[["Config"], bool] = lambda config: True
    source: Source = "scores"
    # The file in workflow_src/report/ that makes it, by default tables/{key} or figures/{key}, and
    # what the file's functions are called with.
    file: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    # The heading in Snakemake's own report, by default that of the kind.
    heading: str = ""
    game_part: GamePart = "probes"
    # The only game that the source published: the page shows no other, the paper prefers it.
    published_game: str = ""

    @property
    def path(self) -> str:
        """Its files in a run, without their extensions."""
        folder = FOLDERS[self.kind]
        return f"results/{folder}/{self.key}" if folder else f"results/{self.key}"

    @property
    def endings(self) -> tuple[str, ...]:
        """The extensions of its files."""
        return self.extensions or EXTENSIONS[self.kind]

    @property
    def module(self) -> str:
        """The module that makes it, such as ``report.tables.iqm``."""
        name = self.file or f"{FOLDERS[self.kind]}/{self.key}"
        return f"report.{name.replace('/', '.')}"

    @property
    def category(self) -> str:
        """The heading in Snakemake's own report."""
        return self.heading or HEADINGS[self.kind]

    @property
    def subcategory(self) -> str:
        """What is below the heading there; nothing where one heading is enough."""
        if self.category not in (HEADINGS["table"], HEADINGS["figure"]):
            return ""
        if self.by_game:
            return "By game"
        return "Of the paper" if self.key.startswith("table") else "Our own"

    @property
    def by_game(self) -> bool:
        """Whether there is one for each game."""
        return "{game}" in self.key

    def files(self, config: "Config", endings: Iterable[str] | None = None) -> list[str]:
        """Its files in a run, of all its extensions or of those in ``endings``; none without it."""
        if not self.when(config):
            return []
        label_sets = LABEL_SETS if "{label_set}" in self.key else [config.label_set]
        games = config.games if self.by_game else [""]
        paths = [
            self.path.format(game=game, label_set=label_set)
            for label_set, game in itertools.product(label_sets, games)
            if not game or game in GAMES[label_set]
        ]
        wanted = [end for end in self.endings if endings is None or end in endings]
        return [path + end for path, end in itertools.product(paths, wanted)]

    def named(self, text: str, names: Mapping[str, str]) -> str:
        """A text of this exhibit with ``names`` in place of {game} and {label_set}."""
        for name, value in names.items():
            text = text.replace(f"{{{name}}}", value)
        return text


def ablated(config: "Config") -> list[str]:
    """List the run's ablations of ST-DIM and ST-DIM itself, from the one that has least of it.

    Nothing where the run has only one of the two.
    """
    kinds = ("dim", "global-t-dim", "global-local-t-dim", "jsd-st-dim", "st-dim")
    rows = config.methods.items()
    found = [method for kind in kinds for method, row in rows if row.kind == kind]
    present = {config.methods[method].kind for method in found}
    return found if "st-dim" in present and len(present) > 1 else []


def _decodes(config: "Config") -> bool:
    return any(row.decodes is not None for row in config.methods.values())


EXHIBITS = (
    Exhibit(
        "table1_variables_by_category",
        "table",
        "Variables by category",
        "Annotated state variables of each game by category, with the published total. "
        "A variable can be in several categories, or in none.",
        section="benchmark",
        sentence="counts the state variables of each game by category",
        file="tables/variables_by_category",
    ),
    Exhibit(
        "table2_f1_by_game",
        "table",
        "F1 by game",
        "Probe F1 by game and method, mean over categories and seeds, with the published values. "
        "The rows named mean are over the games of the run.",
        section="results",
        sentence="gives F1 by game and method, with the published values",
        file="tables/by_game",
        options={"metric": "f1"},
    ),
    Exhibit(
        "f1_by_game",
        "figure",
        "F1 by game",
        "Probe F1 by game and method, mean over categories and seeds. "
        "A dash on grey: there is no score.",
        section="results",
        sentence="shows the same as colours",
    ),
    Exhibit(
        "table2_accuracy_by_game",
        "table",
        "Accuracy by game",
        "Probe accuracy by game and method, mean over categories and seeds. "
        "The original paper does not report it.",
        section="appendix",
        sentence="gives accuracy by game and method",
        file="tables/by_game",
        options={"metric": "accuracy"},
    ),
    Exhibit(
        "table3_f1_by_category",
        "table",
        "F1 by category",
        "Probe F1 by category of variables and method, mean over the games that have the category, "
        "with the published values.",
        section="results",
        sentence="gives F1 by category of variables",
        file="tables/by_category",
        options={"metric": "f1"},
    ),
    Exhibit(
        "f1_by_category",
        "figure",
        "F1 by category",
        "Probe F1 by category of variables and method, mean over games and seeds. "
        "A dash on grey: there is no score.",
        section="results",
        sentence="shows F1 by category",
    ),
    Exhibit(
        "table3_accuracy_by_category",
        "table",
        "Accuracy by category",
        "Probe accuracy by category of variables and method, mean over the games that have the "
        "category. The original paper does not report it.",
        section="appendix",
        sentence="gives accuracy by category",
        file="tables/by_category",
        options={"metric": "accuracy"},
    ),
    Exhibit(
        "table4_f1_by_variable/{game}",
        "table",
        "All variables of {game}",
        "Probe F1 of every annotated state variable of one game, by method. "
        "Empty where the entropy filter dropped the variable.",
        section="appendix",
        sentence="gives F1 of every variable of one game",
        file="tables/by_variable",
        published_game="boxing",
    ),
    Exhibit(
        "iqm",
        "table",
        "Interquartile means",
        "Interquartile mean of F1 (mean over categories) over all games and seeds, by method. "
        "With several seeds, a bootstrap interval that resamples seeds within each game.",
        section="results",
        sentence="gives interquartile means, which a single easy or hard game does not move",
    ),
    Exhibit(
        "iqm",
        "figure",
        "Interquartile means",
        "Interquartile mean of the probe F1 over games and seeds, by method. "
        "Lines are bootstrap intervals, where there are several seeds.",
        section="results",
        sentence="plots them",
    ),
    Exhibit(
        "f1_by_probe",
        "table",
        "F1 by probe",
        "Probe F1 by kind of probe and by type of mean: over categories (the headline), over "
        "variables, and over categories weighted by their number of variables.",
        section="results",
        sentence="compares kinds of probes and types of means",
    ),
    Exhibit(
        "ablations",
        "figure",
        "Ablations",
        "Probe F1 by category of ST-DIM and its ablations. "
        "Error bars are one standard deviation over seeds.",
        section="results",
        sentence="compares the ablations",
        when=lambda config: bool(ablated(config)),
    ),
    Exhibit(
        "reproduction_pong",
        "table",
        "Pong, reproduced",
        "F1 and accuracy in Pong by category, compared with an independent reproduction "
        "(NeurIPS 2019 Reproducibility Challenge).",
        section="published",
        sentence="compares our results with an earlier reproduction",
        when=lambda config: "pong" in config.games,
    ),
    Exhibit(
        "learning_curves",
        "figure",
        "Learning curves",
        "Training and validation loss by epoch: a panel for each method that learns, a line for "
        "each game and seed. Epoch zero is the untrained model.",
        section="appendix",
        sentence="shows the training and validation losses",
        source="histories",
    ),
    Exhibit(
        "learning_curves/{game}",
        "figure",
        "Learning curves of {game}",
        "Training and validation loss by epoch: a panel for each method that learns, a line for "
        "each seed. Epoch zero is the untrained model.",
        source="histories",
        game_part="learning",
    ),
    Exhibit(
        "ledger",
        "table",
        "Ledger of quirks",
        "What each quirk of the published code is worth: F1 with one quirk changed, minus F1 of "
        "the unchanged protocol.",
        section="ledger",
        sentence="lists the differences",
        when=lambda config: "ledger" in config.studies,
        source="ledger",
        file="studies/ledger",
        heading="Ledger",
    ),
    Exhibit(
        "ledger",
        "figure",
        "Ledger of quirks",
        "What each quirk of the published code is worth: F1 with one quirk changed, minus F1 of "
        "the unchanged protocol, by method.",
        section="ledger",
        sentence="plots them",
        when=lambda config: "ledger" in config.studies,
        source="ledger",
        file="studies/ledger",
        heading="Ledger",
    ),
    Exhibit(
        "scaling",
        "table",
        "F1 by number of frames",
        "Probe F1 (mean over categories) by number of frames collected for the encoder.",
        section="results",
        sentence="gives F1 by number of frames collected for the encoder",
        when=lambda config: "scaling" in config.studies,
        source="scaling",
        file="studies/scaling",
        heading="Scaling",
    ),
    Exhibit(
        "scaling",
        "figure",
        "F1 by number of frames",
        "Probe F1 (mean over categories) by number of frames collected for the encoder.",
        section="results",
        sentence="plots it",
        when=lambda config: "scaling" in config.studies,
        source="scaling",
        file="studies/scaling",
        heading="Scaling",
    ),
    Exhibit(
        "audit",
        "table",
        "Label audit",
        "How many annotated variables of each game and label set are alive, suspicious or constant.",
        section="audit",
        sentence="counts variables by verdict, in each game and label set",
        source="audit",
        heading="Label audit",
    ),
    Exhibit(
        "audit_variables",
        "table",
        "Label audit: variables",
        "The annotated variables that are constant or suspicious, and why.",
        source="audit",
        extensions=(".csv",),
        heading="Label audit",
    ),
    Exhibit(
        "frames/{game}",
        "audit",
        "Frames of {game}",
        "Frames with their labels: a sheet of distant frames, and an animation of consecutive ones.",
        source="audit",
        extensions=(".gif", ".png"),
        game_part="frames",
    ),
    Exhibit(
        "{label_set}/{game}",
        "audit",
        "Labels of {game}, {label_set}",
        "What each annotated RAM byte holds while the game is played, what changes when it is "
        "written, and the verdict: alive, constant or suspicious.",
        source="audit",
        game_part="labels",
    ),
    Exhibit(
        "reconstructions/{game}",
        "figure",
        "Reconstructions of {game}",
        "Validation frames and, below them, the output of each method's decoder.",
        section="appendix",
        sentence="shows the output of the decoders",
        when=_decodes,
        source="examples",
        game_part="reconstructions",
    ),
)


# Made when asked for, by `snakemake paper`: not part of a run.
PAPER = Exhibit(
    "paper",
    "document",
    "Paper",
    "The paper of this run. All its numbers, tables and figures come from files of the run.",
)


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
        path = f"{one.path.format(game=one.published_game)}." if one.published_game else ""
        files = one.files(config, ON_PAGE)
        found += [file for file in files if file.startswith(path)]
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
