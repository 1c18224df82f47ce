"""The views of agents on the page of a run."""

import re

import pandas as pd
import pytest
import torch
from paged import Run, make_run, write_picture
from scored import REFERENCE

from workflow_src import layout
from workflow_src.agents import weights
from workflow_src.config.agents import Agent
from workflow_src.csv_files import write_csv
from workflow_src.errors import UserError
from workflow_src.report.page.agents import AgentFiles, agent_views

AGENTS = {
    "mine": {
        "preset": "prioritised",
        "hidden": 8,
        "validate_every": 4,
        "steps": 8,
        "checkpoints": "all",
    },
    "theirs": {"kind": "published", "algorithm": "C51_classic", "step": 50_000_000, "seed": 0},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two agents, of which one was published; its files, each small."""
    made = make_run(tmp_path_factory.mktemp("run"))
    rows = {name: Agent.model_validate(row) for name, row in AGENTS.items()}
    games = made.config.games[:1]
    config = made.config.model_copy(update={"agents": rows, "games": games, "seeds": [0]})
    for file in map(made.directory.joinpath, layout.AGENTS.files(config)):
        file.parent.mkdir(parents=True, exist_ok=True)
        header = {"agent": file.parts[-3], "settings": "5e" * 32, "code": "c0de", "step": 8}
        if "theirs" in str(file):
            header = {"agent": "theirs", "source": "a/model_50.gz", "sha256": "f" * 64, "step": 8}
        weights.save(file, {"w": torch.zeros(1)}, header)
    for file in map(made.directory.joinpath, layout.AGENT_HISTORIES.files(config)):
        epochs = [{"epoch": i, "step": 4 * i, "frames": 16 * i, "score": i} for i in (1, 2)]
        few = epochs[1:] if "theirs" in str(file) else epochs
        write_csv(file, pd.DataFrame(few))
    for file in map(made.directory.joinpath, layout.EVALUATIONS.files(config)):
        names = layout.EVALUATIONS.parse(file.relative_to(made.directory).as_posix())
        base = {"agent": names["agent"], "game": games[0], "seed": 0, "protocol": "classic"}
        played = [
            base | {"weights": name, "step": step, "finished": 1, "frames": 9, "score": score}
            for name, step in (("step-000000004", 4), ("last", 8))
            for score in (step, step + 2)
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        write_csv(file, pd.DataFrame([*played, played[0] | {"finished": 0, "score": 99}]))
    shown = [write_picture(made.directory / file, frames=3) for file in layout.FILMS.files(config)]
    return Run(config, made.directory, [*made.shown, *shown])


def files_of(run):
    kinds = (layout.AGENTS, layout.AGENT_HISTORIES, layout.EVALUATIONS)
    return AgentFiles(*(run.files(kind.files(run.config)) for kind in kinds), REFERENCE)


def test_a_view_has_curve_checkpoints_settings_and_provenance(run):
    mine, theirs = agent_views(run.config, files_of(run), {})
    assert mine.about["Learns by"] == "dqn double prioritised" and mine.about["Frames"] == "32"
    assert mine.curves is not None and mine.curves.width > 500
    text = [[cell.text for cell in row] for row in mine.checkpoints.rows]
    assert [row[1:4] for row in text] != [] and any("5" in row for row in text)
    settings = {row[0].text: row[1].text for row in mine.settings.rows}
    assert settings["hidden"] == "8" and settings["preset"] == "prioritised"
    made = [cell.text for row in mine.provenance.rows for cell in row]
    assert "c0de" in made and "5e5e5e5e5e5e5e5e" in made
    assert theirs.curves is None and theirs.about["Learns by"].endswith("published")
    assert "a/model_50.gz" in [cell.text for row in theirs.provenance.rows for cell in row]


def test_the_page_has_a_view_for_each_agent(run, tmp_path):
    text = run.write(tmp_path / "page.html", agents=files_of(run))
    assert '<a href="#agent=mine">mine</a>' in text and 'id="agent=theirs"' in text
    view = text[text.index('id="agent=mine"') : text.index('id="agent=theirs"')]
    for title in ("Learning curves", "Checkpoints", "At play", "Settings", "Provenance"):
        assert re.search(rf"<h[23]>{title}</h[23]>|<h2>{title}</h2>", view), title
    assert view.count("Play the animation") == 2
    assert run.write(tmp_path / "again.html", agents=files_of(run)) == text


def test_a_missing_file_is_named(run):
    files = files_of(run)
    absent = AgentFiles(files.weights, [run.directory / "x.csv"], files.evaluations, REFERENCE)
    with pytest.raises(UserError, match=r"x\.csv"):
        agent_views(run.config, absent, {})
