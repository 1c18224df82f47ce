"""Merging configurations, and `configure`, which writes one for a run."""

import copy
import errno
import os
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from configs import PAPER, ROOT, refusal

from workflow_src.cli.main import cli
from workflow_src.config.configure import configure
from workflow_src.config.reading import leaves, merge
from workflow_src.config.run import Config, defaults
from workflow_src.errors import UserError


@pytest.mark.parametrize(
    ("base", "change", "found"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "d": 4}}, {"a": {"b": 1, "c": 3, "d": 4}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}, "c": 2}, {"a": None}, {"c": 2}),
        ({"a": 1}, {"b": None}, {"a": 1}),
        ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": True}, {"a": False}, {"a": False}),
    ],
)
def test_merge(base, change, found):
    before = copy.deepcopy((base, change))
    assert merge(base, change) == found
    assert (base, change) == before


def test_defaults_is_the_paper_s_run_changed():
    assert defaults({}) == Config.load(ROOT / "config.yaml")
    assert defaults({"training": {"epochs": 3}}).training.epochs == 3
    assert refusal(defaults, {"training": {"epoch": 3}}).startswith(
        "settings: unknown key training.epoch (did you"
    )


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base" / "config.yaml"
    (path.parent / "presets").mkdir(parents=True)
    path.write_text((ROOT / "config.yaml").read_text())
    (path.parent / "presets" / "small.yaml").write_text("games: [pong]\nmethods: {maj-clf: null}\n")
    (path.parent / "presets" / "wrong.yaml").write_text("training: {epoch: 3}\n")
    return path


def test_presets_by_name_and_their_rows(base, tmp_path):
    said = refusal(configure, base, "quik", [], tmp_path / "run")
    assert said.startswith(
        "unknown preset 'quik' (did you mean quick?); known: all-methods, beyond, control, demo, "
        "ppo, quick"
    )
    for only, text in (
        ({"method": ["vae"]}, "only: section 'method' (did you mean methods?); known: "),
        ({"methods": ["vea"]}, "only.methods: row 'vea' (did you mean vae?); known: "),
    ):
        mine = tmp_path / "mine.yaml"
        mine.write_text(yaml.safe_dump({"only": only}))
        said = refusal(configure, base, str(mine), [], tmp_path / "run")
        assert text.split("'")[0].split(":")[0] in said and text.partition("(")[2] in said, said
    mine.write_text(yaml.safe_dump({"only": {"methods": ["vae"]}, "ledger": None, "scaling": None}))
    target = configure(base, str(mine), [], tmp_path / "run")
    assert list(Config.load(target).methods) == ["vae"]


def preset(base, name):
    return base.parent / "presets" / f"{name}.yaml"


def test_configure_without_changes(base, tmp_path):
    assert Config.load(configure(base, None, [], tmp_path / "run")) == Config.load(base)


def test_configure_writes_what_was_asked_for(base, tmp_path):
    target = configure(base, preset(base, "small"), [], tmp_path / "deep" / "run")
    assert target == tmp_path / "deep" / "run" / "config.yaml"
    assert yaml.safe_load(target.read_text()) == PAPER | {
        "games": ["pong"],
        "methods": {name: row for name, row in PAPER["methods"].items() if name != "maj-clf"},
    }
    assert target.read_text().startswith(
        f"# Written by configure, from {base} with preset {preset(base, 'small')}. "
    )
    assert [path.name for path in target.parent.iterdir()] == ["config.yaml"]
    configure(base, preset(base, "small"), ["qbert", "hero"], target.parent)
    assert Config.load(target).games == ["qbert", "hero"]


def test_configure_leaves_an_edited_file_alone(base, tmp_path):
    target = configure(base, preset(base, "small"), [], tmp_path / "run")
    edited = target.read_text().replace("noop_max: 30", "noop_max: 20")
    target.write_text(edited)
    assert "was edited by hand" in refusal(
        configure, base, preset(base, "small"), [], tmp_path / "run"
    )
    assert target.read_text() == edited


@pytest.mark.parametrize(
    ("command", "name", "said"),
    [
        ("configure", "config.yaml", "config.yaml was edited by hand"),
        ("init", "config.yaml", "config.yaml was edited by hand"),
        ("init", "Snakefile", "Snakefile is another one: choose another directory"),
    ],
)
def test_what_is_no_text_or_cannot_be_read_is_left_alone(
    tmp_path, monkeypatch, command, name, said
):
    (tmp_path / name).write_bytes(b"\xff\x00\xfe")
    asked = [command, *(["--into"] if command == "configure" else []), str(tmp_path)]
    done = CliRunner().invoke(cli, asked)
    assert isinstance(done.exception, UserError) and said in str(done.exception)
    read = Path.read_bytes

    def denied(path):
        if path == tmp_path / name:  # root may read everything
            raise PermissionError(errno.EACCES, "denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    done = CliRunner().invoke(cli, asked)
    assert isinstance(done.exception, UserError)
    assert f"cannot read {tmp_path / name}: permission denied" in str(done.exception)
    assert read(tmp_path / name) == b"\xff\x00\xfe" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("asked", [["init", "x"], ["configure", "--into", "x"]])
def test_a_current_directory_that_is_gone_is_one_line(tmp_path, monkeypatch, asked):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = CliRunner().invoke(cli, asked)
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith("cannot write x/config.yaml: no such file or directory")


def test_configure_again_changes_nothing(base, tmp_path):
    target = configure(base, preset(base, "small"), [], tmp_path / "run")
    os.utime(target, ns=(1, 1))
    configure(base, preset(base, "small"), [], tmp_path / "run")
    assert target.stat().st_mtime_ns == 1
    configure(base, None, [], tmp_path / "run")
    assert target.stat().st_mtime_ns != 1


@pytest.mark.parametrize(
    ("name", "games", "text"),
    [
        ("smal", [], r"cannot read .*smal\.yaml: there is no such file; make it first$"),
        ("small", ["pongg"], r".*games: unknown game 'pongg' \(did you mean pong\?\); known"),
        ("small", ["pong", "pong"], r".*games: duplicate entry 'pong'"),
        (
            "wrong",
            [],
            r".*config\.yaml with .*wrong\.yaml: unknown key training\.epoch \(did you mean "
            r"epochs\?\)",
        ),
    ],
)
def test_configure_refuses_and_writes_nothing(base, tmp_path, name, games, text):
    assert re.match(text, refusal(configure, base, preset(base, name), games, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_configure_leaves_the_old_one_when_it_refuses(base, tmp_path):
    target = configure(base, None, [], tmp_path / "run")
    before = target.read_bytes()
    refusal(configure, base, preset(base, "wrong"), [], tmp_path / "run")
    assert target.read_bytes() == before


def test_configure_does_not_write_over_its_base(base):
    before = base.read_bytes()
    assert "name another directory" in refusal(
        configure, base, preset(base, "small"), [], base.parent
    )
    assert base.read_bytes() == before


def test_leaves():
    assert leaves(PAPER, "training.lr", "episodes.frames", "label_set") == {
        "training.lr": 3e-4,
        "episodes.frames": {"pretrain": 100000, "probe": 50000},
        "label_set": "paper-2019",
    }
    assert leaves(PAPER) == {}
    with pytest.raises(KeyError, match="lrr"):
        leaves(PAPER, "training.lrr")
