"""The configuration: what the repository ships, and what a person can get wrong, in one line each."""

import copy
import os
import re
from pathlib import Path

import pytest
import yaml

from workflow_src import config
from workflow_src.ari.labels import GAMES
from workflow_src.config import Config, configure, leaves, merge
from workflow_src.errors import UserError

ROOT = Path(__file__).parents[1]
PAPER = yaml.safe_load((ROOT / "config.yaml").read_text())
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


def put(key, value):
    """The repository's configuration with one dotted key set, or taken away if the value is ``...``."""
    content = copy.deepcopy(PAPER)
    *sections, last = key.split(".")
    inner = content
    for section in sections:
        inner = inner[section]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return content


def refusal(call, *arguments):
    with pytest.raises(UserError) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# What is shipped


def test_the_repository_s_configuration_is_the_paper_s_run():
    loaded = Config.load(ROOT / "config.yaml")
    assert tuple(loaded.games) == GAMES["paper-2019"] and len(loaded.games) == 22
    assert loaded.label_set == "paper-2019"
    assert (loaded.episodes.frames.of("pretrain"), loaded.episodes.frames.of("probe")) == (100_000, 50_000)
    assert loaded.splits.model_dump() == {
        "pretrain": {"train": 0.8, "val": 0.2},
        "probe": {"train": 0.7, "val": 0.1, "test": 0.2},
        "min_entropy": 0.6,
    }
    for trained in (loaded.training, loaded.probe):
        assert (trained.epochs, trained.patience, trained.batch_size, trained.eps) == (100, 15, 64, 1e-5)
    assert loaded.training.lr == 3e-4
    for row in loaded.methods.values():
        assert row.feature_size == 256
        assert row.training(loaded.training) == loaded.training


def test_the_paper_s_protocol_has_every_quirk_and_the_corrected_none():
    paper, corrected = (PAPER["protocols"][name] for name in ("paper", "corrected"))
    for step in ("splits", "methods"):
        assert all(paper[step][switch] != corrected[step][switch] for switch in paper[step])
    assert {name for name in paper["probes"] if paper["probes"][name] == corrected["probes"][name]} == {"lr"}
    assert not PAPER["policies"]["random_agent"]["noop"]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_give_a_configuration(preset, tmp_path):
    target = configure(ROOT / "config.yaml", preset, [], tmp_path)
    loaded = Config.load(target)
    change = yaml.safe_load(preset.read_text())
    assert loaded.model_dump(exclude_defaults=True) == Config.check(merge(PAPER, change), "x").model_dump(exclude_defaults=True)
    assert loaded != Config.load(ROOT / "config.yaml")


def test_there_are_presets():
    assert "quick" in [path.stem for path in PRESETS]


def test_row_of_a_method_changes_the_training():
    loaded = Config.check(put("methods.st-dim", {"kind": "st-dim", "epochs": 7, "lr": 1e-3}), "x")
    changed = loaded.methods["st-dim"].training(loaded.training)
    assert changed.model_dump() == loaded.training.model_dump() | {"epochs": 7, "lr": 1e-3}


@pytest.mark.parametrize(
    ("kind", "has_encoder", "learns"), [("majority", False, False), ("random-cnn", True, False), ("st-dim", True, True)]
)
def test_what_kinds_need(kind, has_encoder, learns):
    row = config.Method(kind=kind)
    assert (row.has_encoder, row.learns) == (has_encoder, learns)


def test_kinds_are_files():
    kinds = {"majority"} | {path.stem.replace("_", "-") for path in (ROOT / "workflow_src" / "methods").glob("*.py")}
    assert set(config.METHOD_KINDS) == kinds - {"--init--", "objective", "train", "training"}


def test_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Config.load(ROOT / "config.yaml").training.epochs = 3


# Mistakes

MISTAKES = [
    # unknown keys
    (
        "gamess",
        ["pong"],
        r"unknown key gamess \(did you mean games\?\); allowed here: seeds, games, .*, probe$",
    ),
    (
        "methods.st-dim.betaa",
        1.0,
        r"unknown key methods\.st-dim\.betaa.*; allowed here: kind, encoder, feature_size, epochs, .*, lr, eps$",
    ),
    (
        "protocols.paper.probes.kep",
        "best",
        r"unknown key protocols\.paper\.probes\.kep \(did you mean keep\?\); allowed here: keep, sampling, lr$",
    ),
    ("episodes.frames.test", 10, r"unknown key episodes\.frames\.test; allowed here: pretrain, probe$"),
    ("policies.random_agent.nop", True, r"unknown key policies\.random_agent\.nop \(did you mean noop\?\); .*: kind, noop$"),
    ("splits.probe.trian", 0.1, r"unknown key splits\.probe\.trian \(did you mean train\?\); allowed here: train, val, test$"),
    ("training.learning_rate", 0.1, r"unknown key training\.learning_rate.*; allowed here: epochs, patience, .*threads$"),
    # unknown names
    ("games", ["pong", "pongg"], r"games: unknown game 'pongg' \(did you mean pong\?\); known: asteroids, .*, yarsrevenge$"),
    ("games", ["skiing"], r"games: unknown game 'skiing'.*; known: asteroids"),
    (
        "label_set",
        "paper-2018",
        r"label_set: unknown label set 'paper-2018' \(did you mean paper-2019\?\); known: .*2020$",
    ),
    (
        "methods.st-dim.kind",
        "st-din",
        r"methods\.st-dim\.kind: unknown kind 'st-din' \(did you mean st-dim\?\); known: majority, .*st-dim",
    ),
    ("methods.st-dim.encoder", "nateur", r"methods\.st-dim\.encoder: input should be 'nature' \(it is 'nateur'\)$"),
    ("device", "gpu", r"device: input should be 'auto', 'cpu' or 'cuda' \(it is 'gpu'\)$"),
    ("training.precision", "float16", r"training\.precision: .*'float32' or 'bfloat16' \(it is 'float16'\)$"),
    ("policies.random_agent.kind", "ppo", r"policies\.random_agent\.kind: input should be 'random' \(it is 'ppo'\)$"),
    ("protocols.paper.methods.sampling", "all", r"protocols\.paper\.methods\.sampling: .*'permutation' \(it is 'all'\)$"),
    ("methods.St DIM", {"kind": "st-dim"}, r"methods\.St DIM: 'St DIM' is no identifier; use small letters, digits"),
    ("protocols.a/b", PAPER["protocols"]["paper"], r"protocols\.a/b: 'a/b' is no identifier"),
    # numbers
    ("training.lr", "3e-4", r"training\.lr: '3e-4' is text, not a number; write it with a decimal point, such as 3\.0e-4$"),
    ("methods.st-dim.lr", "3e-4", r"methods\.st-dim\.lr: '3e-4' is text, not a number"),
    ("training.epochs", "10", r"training\.epochs: '10' is text, not a number"),
    ("training.lr", 0.0, r"training\.lr: input should be greater than 0 \(it is 0\.0\)$"),
    ("training.lr", 1.5, r"training\.lr: input should be less than or equal to 1 \(it is 1\.5\)$"),
    ("training.lr", float("nan"), r"training\.lr: .* \(it is nan\)$"),
    ("training.eps", float("inf"), r"training\.eps: input should be a finite number \(it is inf\)$"),
    ("training.epochs", 0, r"training\.epochs: input should be greater than or equal to 1 \(it is 0\)$"),
    ("training.batch_size", 1, r"training\.batch_size: input should be greater than or equal to 2 \(it is 1\)$"),
    ("episodes.frames.pretrain", -5, r"episodes\.frames\.pretrain: .* \(it is -5\)$"),
    ("episodes.repeat", 1, r"episodes\.repeat: input should be greater than or equal to 2 \(it is 1\)$"),
    ("probe.classes", 257, r"probe\.classes: input should be less than or equal to 256 \(it is 257\)$"),
    ("splits.min_entropy", -0.1, r"splits\.min_entropy: .* \(it is -0\.1\)$"),
    ("splits.pretrain", {"train": 1.0, "val": 0.0}, r"splits\.pretrain\.train: input should be less than 1 .* \(and 1 more\)$"),
    ("seeds", [0, -1], r"seeds\.1: input should be greater than or equal to 0 \(it is -1\)$"),
    # types
    ("training.epochs", 2.5, r"training\.epochs: .* \(it is 2\.5\)$"),
    ("training.epochs", True, r"training\.epochs: input should be a valid integer \(it is True\)$"),
    ("training.channels_last", 1, r"training\.channels_last: input should be a valid boolean \(it is 1\)$"),
    ("games", "pong", r"games: input should be a valid list \(it is 'pong'\)$"),
    ("games.0", 3, r"games\.0: input should be a valid string \(it is 3\)$"),
    ("methods", ["st-dim"], r"methods: input should be a valid dictionary$"),
    ("training", None, r"training: input should be a valid dictionary.* \(it is None\)$"),
    ("episodes.frames", 100, r"episodes\.frames: .* \(it is 100\)$"),
    # missing
    ("games", ..., r"games is missing; add it as in the repository's config\.yaml$"),
    ("training.lr", ..., r"training\.lr is missing; add it"),
    ("protocols.paper.splits.episode", ..., r"protocols\.paper\.splits\.episode is missing; add it"),
    ("methods.st-dim", {}, r"methods\.st-dim\.kind is missing; add it"),
    # together
    ("games", [], r"games: .*at least 1 item"),
    ("methods", {}, r"methods: .*at least 1 item"),
    ("games", ["pong", "qbert", "pong"], r"games: an entry stands twice; name each once$"),
    ("seeds", [1, 1], r"seeds: an entry stands twice; name each once$"),
    ("splits.probe.test", 0.3, r"splits\.probe: the shares .*'test': 0\.3.* do not add up to 1$"),
    ("splits.pretrain.val", 0.1, r"splits\.pretrain: the shares .* do not add up to 1$"),
]


@pytest.mark.parametrize(("key", "value", "text"), MISTAKES, ids=[f"{key}-{value!s:.20}" for key, value, _ in MISTAKES])
def test_a_mistake_is_one_line_with_the_key_and_the_mend(tmp_path, key, value, text):
    if key == "games.0":
        key, value = "games", [value, "pong"]
    path = tmp_path / "my.yaml"
    # As text: what YAML makes of a value is part of what is tested.
    path.write_text(yaml.safe_dump(put(key, value)).replace("'3e-4'", "3e-4"))
    assert re.match(re.escape(f"{path}: ") + text, refusal(Config.load, path))


def test_yaml_reads_a_number_without_a_point_as_text():
    assert yaml.safe_load("3e-4") == "3e-4"
    assert yaml.safe_load("3.0e-4") == 3e-4


def test_a_misspelt_key_is_unknown_rather_than_missing():
    content = put("training.eps", ...)
    content["training"]["epps"] = 1e-5
    assert refusal(Config.check, content, "x").startswith("x: unknown key training.epps (did you mean eps?); allowed here: ")


def test_the_first_of_several_mistakes_counts_the_others():
    content = put("training.epochs", 0)
    content["probe"]["epochs"] = content["seeds"][0] = -1
    assert refusal(Config.check, content, "x").endswith("(and 2 more)")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"games: [pong", "is not YAML: while parsing"),
        (b"a: 1\n b: 2", "is not YAML: "),
        (b"a: \x00", "is not YAML: "),
        (b"a: \xff\xfe", "is not YAML: "),
        (b"a: !!python/object:os.system {}", "is not YAML: could not determine a constructor"),
        (
            b"seeds: [0]\nmethods:\n  st-dim: {kind: st-dim}\n  st-dim: {}",
            "is not YAML: the key st-dim stands twice in the mapping of line 3",
        ),
        (b"a: 2020-13-45", "is not YAML: month must be in"),
        (b"", "is not a mapping of keys to values"),
        (b"# nothing but this\n", "is not a mapping of keys to values"),
        (b"[1, 2]", "is not a mapping of keys to values"),
        (b"text", "is not a mapping of keys to values"),
    ],
)
def test_what_is_no_configuration_at_all(tmp_path, content, text):
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    assert refusal(Config.load, path).startswith(f"{path} {text}")


def test_no_file_at_all(tmp_path):
    assert refusal(Config.load, tmp_path / "my.yaml").endswith("my.yaml: there is no such file; make it first")
    assert "there is a directory of that name" in refusal(Config.load, tmp_path)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"game": "pongg"}, r"unknown game 'pongg' \(did you mean pong\?\); known: asteroids"),
        ({"policy": "ppo"}, r"unknown policy 'ppo'; known: random_agent$"),
        ({"protocol": "papr"}, r"unknown protocol 'papr' \(did you mean paper\?\); known: paper, corrected$"),
        ({"method": "st-din"}, r"unknown method 'st-din' \(did you mean st-dim\?\); known: maj-clf, random-cnn, st-dim"),
    ],
)
def test_what_a_job_asks_for_must_be_known(asked, text):
    loaded = Config.load(ROOT / "config.yaml")
    known = {"game": "pong", "policy": "random_agent", "protocol": "paper", "method": "st-dim", "out": "anything"}
    assert loaded.knowing(**known) is loaded
    assert re.match(text, refusal(lambda: loaded.knowing(**known | asked)))


# Merging and configuring


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
    assert config.defaults({}) == Config.load(ROOT / "config.yaml")
    assert config.defaults({"training": {"epochs": 3}}).training.epochs == 3
    assert refusal(config.defaults, {"training": {"epoch": 3}}).startswith("settings: unknown key training.epoch (did you")


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base" / "config.yaml"
    (path.parent / "presets").mkdir(parents=True)
    path.write_text((ROOT / "config.yaml").read_text())
    (path.parent / "presets" / "small.yaml").write_text("games: [pong]\nmethods: {maj-clf: null}\n")
    (path.parent / "presets" / "wrong.yaml").write_text("training: {epoch: 3}\n")
    return path


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
    assert target.read_text().startswith(f"# Made by configure, from {base} with {preset(base, 'small')}. ")
    assert [path.name for path in target.parent.iterdir()] == ["config.yaml"]
    configure(base, preset(base, "small"), ["qbert", "hero"], target.parent)
    assert Config.load(target).games == ["qbert", "hero"]


def test_configure_leaves_an_edited_file_alone(base, tmp_path):
    target = configure(base, preset(base, "small"), [], tmp_path / "run")
    edited = target.read_text().replace("noop_max: 30", "noop_max: 20")
    target.write_text(edited)
    assert "was edited by hand" in refusal(configure, base, preset(base, "small"), [], tmp_path / "run")
    assert target.read_text() == edited


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
        ("smal", [], r"unknown preset 'smal' \(did you mean small\?\); known: small, wrong$"),
        ("small", ["pongg"], r".*games: unknown game 'pongg' \(did you mean pong\?\); known"),
        ("small", ["pong", "pong"], r".*games: an entry stands twice"),
        ("wrong", [], r".*config\.yaml with .*wrong\.yaml: unknown key training\.epoch \(did you mean epochs\?\)"),
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
    assert "name another directory" in refusal(configure, base, preset(base, "small"), [], base.parent)
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
