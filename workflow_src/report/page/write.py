"""Write the page of a run.

Tables are plain HTML, which DataTables (from the itables package, MIT) makes sortable and
filterable; the page is readable without it. Nothing in the file says when it was made: the same run
on the same machine gives the same bytes.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import itables.options
import jinja2

from workflow_src import artifacts
from workflow_src.config.run import Config
from workflow_src.csv_files import read_csv
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.page import files, machine, settings, summaries
from workflow_src.report.page.agents import AgentFiles, agent_views
from workflow_src.report.page.cells import Table
from workflow_src.report.scores import read_scores
from workflow_src.report.tables.captions import PAPER

# The table of which the page's first view shows the means.
HEADLINE = "table2_f1_by_game"
# And its picture: the first of these that the run has.
FIRST = ("f1_by_category", "f1_by_game", "agent_curves")


@dataclass(frozen=True)
class Game:
    """What the view of one game shows; ``files`` has tables and pictures by part of the view."""

    name: str
    variables: int
    splits: Table
    entropies: Table
    histories: Table
    by_variable: Table
    by_category: Table
    files: dict[str, list[list[files.Shown]]]


def write_report(
    config: Config,
    scores: Path,
    shown: list[Path],
    splits: list[Path],
    histories: list[Path],
    out: Path,
    agents: AgentFiles | None = None,
) -> None:
    """Write the page of a run.

    ``shown`` are tables (CSV) and pictures (PNG, GIF) in their order; ``splits`` and ``histories``
    are named as in `layout`; ``agents`` is what its agents left, if it has any. `UserError` or
    `DamagedFile` for a file that is missing, damaged or of a kind that cannot be shown.
    """
    probed = read_scores(scores)
    subjects = [files.subject(config, path) for path in shown]
    items = [
        (one, files.read(config, one, path)) for one, path in zip(subjects, shown, strict=True)
    ]
    headline = None
    for one, path in zip(subjects, shown, strict=True):
        if one.key == HEADLINE:
            table2 = read_csv(path, text=[*BLOCK, "game"])
            headline = summaries.headline_table(config, table2)
    of_run = [item for one, item in items if one.game is None]
    films: dict[str, list[files.Picture]] = {}
    for one, item in items:
        if one.agent is not None and isinstance(item, files.Picture):
            films.setdefault(one.agent, []).append(item)
    text = render(
        config=config,
        headline=headline,
        paper=PAPER,
        setting=settings.run_settings(config),
        methods=settings.method_table(config),
        protocols=settings.protocol_table(config),
        versions=machine.package_versions(),
        hardware=machine.hardware(),
        configuration=settings.as_text(config),
        protocols_of_run=list(config.protocols),
        first=_first(items),
        tables=[item for item in of_run if isinstance(item, Table)],
        pictures=[item for item in of_run if isinstance(item, files.Picture)],
        agents=agent_views(config, agents, films) if agents is not None else [],
        games=_games(config, summaries.read(config, probed, splits, histories), items),
    )
    artifacts.write_text(out, text)


def _first(items: list[tuple[files.Subject, files.Shown]]) -> files.Picture | None:
    """The picture of the first screen."""
    by_key = {one.key: item for one, item in items if isinstance(item, files.Picture)}
    return next((by_key[key] for key in FIRST if key in by_key), None)


def _games(
    config: Config,
    found: summaries.Summaries,
    items: list[tuple[files.Subject, files.Shown]],
) -> list[Game]:
    """The views of all games."""
    games = []
    for game in config.games:
        of_game = summaries.table_of(config, game)
        kept = found.entropies[found.entropies["game"] == game]
        games.append(
            Game(
                name=game,
                variables=kept["variable"].nunique(),
                splits=of_game(found.splits, "splits"),
                entropies=of_game(found.entropies, "entropies"),
                histories=of_game(found.histories, "histories"),
                by_variable=of_game(found.by_variable, "variables"),
                by_category=of_game(found.by_category, "categories"),
                files=files.by_part([(one, item) for one, item in items if one.game == game]),
            )
        )
    return games


def render(**content: Any) -> str:
    """The page as text; all of ``content`` is escaped."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("workflow_src.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    bundle = Path(itables.options.dt_bundle)
    return templates.get_template("report.html.jinja").render(
        **content,
        library=inside_script(bundle.read_text(encoding="utf-8")),
        library_style=bundle.with_suffix(".css").read_text(encoding="utf-8"),
    )


def inside_script(code: str) -> str:
    """JavaScript that is safe inside a script element.

    What would begin an HTML comment or end the script is written in another way.
    """
    return re.sub(r"<(?=!--|/?script)", r"\\x3C", code, flags=re.IGNORECASE)
