"""What an exhibit is: a table or a figure of a run, declared once."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from workflow_src.ari.annotations import GAMES, LABEL_SETS

if TYPE_CHECKING:
    from workflow_src.config.run import Config

Kind = Literal["table", "figure", "audit", "document"]
# What an exhibit is made from: each source has its rules.
Source = Literal[
    "scores",
    "histories",
    "examples",
    "readings",
    "audit",
    "ledger",
    "scaling",
    "convergence",
    "transfer",
    "control",
    "agreement",
    "frames",
    "agents",
]
# Sections of the paper.
Section = Literal[
    "benchmark",
    "results",
    "conditioning",
    "published",
    "policies",
    "ledger",
    "agents",
    "control",
    "audit",
    "appendix",
]
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
    # Whether the section shows it; else the appendix does, and the section refers to it.
    main: bool = False
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
    # The game that the paper shows, where the run has it.
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
