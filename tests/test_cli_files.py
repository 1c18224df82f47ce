"""The command line removes and replaces nothing of somebody else's."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from workflow_src.cli.main import cli
from workflow_src.config.configure import configure
from workflow_src.config.run import PACKAGED
from workflow_src.errors import UserError


def assert_refused(arguments, said):
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert isinstance(done.exception, UserError), done.output
    assert said in str(done.exception) and "\n" not in str(done.exception)


@pytest.mark.parametrize("what", ["a file", "a run", "an edited demo", "a demo and a file"])
def test_the_demo_removes_nothing_but_a_demo(tmp_path, what):
    into = tmp_path / "run"
    into.mkdir()
    if what != "a file":
        configure(PACKAGED, "quick" if what == "a run" else "demo", [], into)
    if what == "an edited demo":
        with (into / "config.yaml").open("a") as file:
            file.write("# mine\n")
    (into / "results").mkdir()
    mine = into / ("results" if what in ("a run", "an edited demo") else "") / "mine.txt"
    mine.write_text("precious")
    assert_refused(["demo", "--into", into], "choose another directory")
    assert mine.read_text() == "precious"


@pytest.mark.parametrize("command", ["agents", "published-agents"])
def test_a_working_folder_with_other_files_is_left(tmp_path, command):
    configure(PACKAGED, "demo", [], tmp_path)
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "thesis.txt").write_text("precious")
    which = ["--agent", "catch", "--game", "catch", "--seed", 0, "--out", tmp_path / "out"]
    which += ["--history", tmp_path / "h.csv", "--config", tmp_path / "config.yaml"]
    assert_refused([command, *which, "--working", docs], "docs has thesis.txt, and would be")
    assert (docs / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("splits --frames same --out same", "is both --frames and --out"),
        ("splits --frames frames --exclude same --out link", "is both --exclude and --out"),
        ("encoders --method vae --out same --history ./same", "is both --out and --history"),
        ("splits --frames frames --out config.yaml", "is both --config and --out"),
        ("scores --out same --metrics same", "is both --out and --metrics"),
    ],
)
def test_a_file_to_write_is_no_other_file(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    configure(PACKAGED, "quick", [], tmp_path)
    for name in ("frames", "same"):
        Path(name).write_text("precious")
    Path("link").symlink_to("same")
    command, *more = arguments.split()
    which = ["--game", "pong", "--policy", "random_agent", "--protocol", "paper", "--seed", "0"]
    which += ["--purpose", "probe"] if command == "splits" else []
    assert_refused([command, *(which if command != "scores" else []), *more], said)
    assert {Path(name).read_text() for name in ("frames", "same")} == {"precious"}


def test_files_to_read_may_be_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configure(PACKAGED, "quick", [], tmp_path)
    which = ["--scores", "nowhere", "--reference", "nowhere", "--out", "tables"]
    assert_refused(["tables", *which], "cannot read nowhere")
