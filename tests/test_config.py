"""The configuration: what the repository ships, and what a person can get wrong, a line each."""

import copy
import json
import os
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_src import kinds, layout
from workflow_src.ari.labels import GAMES
from workflow_src.config.configure import configure
from workflow_src.config.episodes import Policy
from workflow_src.config.methods import Method
from workflow_src.config.protocols import QUIRKS
from workflow_src.config.reading import apply_preset, leaves, merge
from workflow_src.config.run import Config, defaults
from workflow_src.config.section import PURPOSES
from workflow_src.errors import UserError

ROOT = Path(__file__).parents[1]
PAPER = yaml.safe_load((ROOT / "config.yaml").read_text())
PRESETS = sorted((ROOT / "workflow_src" / "presets").glob("*.yaml"))


def put(key, value):
    """The repository's configuration with one dotted key set, or taken away if the value is
    ``...``.
    """
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
    assert (loaded.episodes.frames.of("pretrain"), loaded.episodes.frames.of("probe")) == (
        100_000,
        50_000,
    )
    assert loaded.splits.model_dump() == {
        "pretrain": {"train": 0.8, "val": 0.2},
        "probe": {"train": 0.7, "val": 0.1, "test": 0.2},
        "min_entropy": 0.6,
    }
    for trained in (loaded.training, loaded.probe):
        assert (trained.epochs, trained.patience, trained.batch_size, trained.eps) == (
            100,
            15,
            64,
            1e-5,
        )
    assert loaded.training.lr == 3e-4
    for name, row in loaded.methods.items():
        assert (row.encoder, row.feature_size, row.frame_stack) == ("nature", 256, 1)
        assert row.kind == {"maj-clf": "majority"}.get(name, name)
        changed = {"eps": 1e-8} if name == "cpc" else {}
        assert row.training(loaded.training).model_dump() == loaded.training.model_dump() | changed
    # Every method that the repository has is a column, but for one's own.
    assert {row.kind for row in loaded.methods.values()} == set(kinds.names("methods")) - {"custom"}
    assert len(loaded.methods) == 12
    assert loaded.methods["vae"].resolved_options == {"beta": 1.0}
    assert {"sequence_length": 100, "horizon_step": 4}.items() <= loaded.methods[
        "cpc"
    ].resolved_options.items()
    assert loaded.probe.kinds == ["linear"]
    assert loaded.ledger.model_dump() == {
        "base": "paper",
        "target": "corrected",
        "methods": ["random-cnn", "st-dim"],
    }


def test_the_paper_s_protocol_has_every_quirk_and_the_corrected_none():
    paper, corrected = (PAPER["protocols"][name] for name in ("paper", "corrected"))
    for step in ("episodes", "splits", "methods"):
        assert all(paper[step][switch] != corrected[step][switch] for switch in paper[step])
    assert {
        name for name in paper["probes"] if paper["probes"][name] == corrected["probes"][name]
    } == {"lr"}
    assert not paper["episodes"]["noop"]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_give_a_configuration(preset, tmp_path):
    target = configure(ROOT / "config.yaml", preset.stem, [], tmp_path)
    loaded = Config.load(target)
    change = yaml.safe_load(preset.read_text())
    assert loaded.model_dump(exclude_defaults=True) == Config.check(
        apply_preset(PAPER, change, "x"), "x"
    ).model_dump(exclude_defaults=True)
    assert loaded != Config.load(ROOT / "config.yaml")


def test_there_are_presets():
    assert "quick" in [path.stem for path in PRESETS]


def test_row_of_a_method_changes_the_training():
    loaded = Config.check(put("methods.st-dim", {"kind": "st-dim", "epochs": 7, "lr": 1e-3}), "x")
    changed = loaded.methods["st-dim"].training(loaded.training)
    assert changed.model_dump() == loaded.training.model_dump() | {"epochs": 7, "lr": 1e-3}


def test_the_quick_run_has_a_baseline_an_untrained_encoder_and_the_paper_s_own(tmp_path):
    loaded = Config.load(configure(ROOT / "config.yaml", "quick", [], tmp_path))
    assert list(loaded.methods) == ["maj-clf", "random-cnn", "st-dim"]
    assert loaded.ledger is None and not loaded.derived.found


@pytest.mark.parametrize(
    ("kind", "has_encoder", "learns_from", "decodes"),
    [
        ("majority", False, None, None),
        ("random-cnn", True, None, None),
        ("custom", True, None, None),
        ("st-dim", True, "pretrain", None),
        ("cpc", True, "pretrain", None),
        ("vae", True, "pretrain", 0),
        ("pixel-pred", True, "pretrain", 1),
        ("supervised", True, "probe", None),
        ("supervised-shared", True, "probe", None),
    ],
)
def test_what_kinds_need(kind, has_encoder, learns_from, decodes):
    row = Method(kind=kind, **{"module": "a.py:A"} if kind == "custom" else {})
    assert (row.has_encoder, row.learns_from, row.decodes) == (has_encoder, learns_from, decodes)


def test_kinds_are_files():
    """A folder of kinds has nothing else in it, so no list of exceptions is needed."""
    for folder in ("methods", "encoders/architectures", "episodes/policies", "probes/kinds"):
        files = {path.stem for path in (ROOT / "workflow_src" / folder).glob("*.py")} - {"__init__"}
        assert {kinds.stem(kind) for kind in kinds.names(folder)} == files and files


def test_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Config.load(ROOT / "config.yaml").training.epochs = 3


# Mistakes

MISTAKES = [
    # unknown keys
    (
        "gamess",
        ["pong"],
        r"unknown key gamess \(did you mean games\?\); allowed here: seeds, games, .*, probe, "
        "ledger, scaling, studies$",
    ),
    (
        "methods.st-dim.betaa",
        1.0,
        r"unknown key methods\.st-dim\.betaa.*; allowed here: kind, options, encoder, "
        "feature_size, frame_stack, .*, lr, eps$",
    ),
    (
        "ledger.bas",
        "paper",
        r"unknown key ledger\.bas \(did you mean base\?\); allowed here: base, target, methods$",
    ),
    (
        "probe.options.logistic.c",
        1.0,
        r"probe: options\.logistic: unknown option 'c'; known: C, max_iter$",
    ),
    ("probe.hidden", 3, r"probe\.hidden is now called probe\.options\.mlp\.hidden; rename it"),
    ("probe.logistic", {}, r"probe\.logistic is now called probe\.options\.logistic; rename it"),
    ("episodes.repeat", 4, r"episodes\.repeat is now called episodes\.frame_skip; rename it"),
    ("episodes.streams", 8, r"episodes\.streams is now called episodes\.num_envs; rename it"),
    (
        "protocols.paper.probes.kep",
        "best",
        r"unknown key protocols\.paper\.probes\.kep \(did you mean keep\?\); allowed here: keep, "
        "sampling, lr$",
    ),
    (
        "episodes.frames.test",
        10,
        r"unknown key episodes\.frames\.test; allowed here: pretrain, probe$",
    ),
    (
        "policies.random_agent.nop",
        True,
        r"unknown key policies\.random_agent\.nop \(did you mean noop\?\); .*: kind, options, "
        "noop$",
    ),
    (
        "splits.probe.trian",
        0.1,
        r"unknown key splits\.probe\.trian \(did you mean train\?\); allowed here: train, val, "
        "test$",
    ),
    (
        "training.learning_rate",
        0.1,
        r"unknown key training\.learning_rate.*; allowed here: epochs, patience, .*threads$",
    ),
    # unknown names
    (
        "games",
        ["pong", "pongg"],
        r"games: unknown game 'pongg' \(did you mean pong\?\); known: asteroids, .*, yarsrevenge$",
    ),
    ("games", ["skiing"], r"games: unknown game 'skiing'.*; known: asteroids"),
    (
        "label_set",
        "paper-2018",
        r"label_set: unknown label set 'paper-2018' \(did you mean paper-2019\?\); known: .*2020$",
    ),
    (
        "methods.st-dim.kind",
        "st-din",
        r"methods\.st-dim\.kind: unknown kind 'st-din' \(did you mean st-dim\?\); known: cpc, "
        ".*majority, .*st-dim",
    ),
    (
        "methods.st-dim.encoder",
        "nateur",
        r"methods\.st-dim\.encoder: unknown encoder 'nateur' \(did you mean nature\?\); known: "
        "impala, nature$",
    ),
    ("device", "gpu", r"device: input should be 'auto', 'cpu' or 'cuda' \(it is 'gpu'\)$"),
    (
        "training.precision",
        "float16",
        r"training\.precision: .*'float32' or 'bfloat16' \(it is 'float16'\)$",
    ),
    (
        "policies.random_agent.kind",
        "ppo",
        r"policies\.random_agent\.kind: unknown kind 'ppo'; known: random$",
    ),
    (
        "protocols.paper.methods.sampling",
        "all",
        r"protocols\.paper\.methods\.sampling: .*'permutation' \(it is 'all'\)$",
    ),
    (
        "methods.St DIM",
        {"kind": "st-dim"},
        r"methods\.St DIM: 'St DIM' is not a valid name; use small letters, digits",
    ),
    ("protocols.a/b", PAPER["protocols"]["paper"], r"protocols\.a/b: 'a/b' is not a valid name"),
    # numbers
    (
        "training.lr",
        "3e-4",
        r"training\.lr: '3e-4' is text, not a number; write it with a decimal point, such as "
        r"3\.0e-4$",
    ),
    ("methods.st-dim.lr", "3e-4", r"methods\.st-dim\.lr: '3e-4' is text, not a number"),
    ("training.epochs", "10", r"training\.epochs: '10' is text, not a number"),
    ("training.lr", 0.0, r"training\.lr: input should be greater than 0 \(it is 0\.0\)$"),
    ("training.lr", 1.5, r"training\.lr: input should be less than or equal to 1 \(it is 1\.5\)$"),
    ("training.lr", float("nan"), r"training\.lr: .* \(it is nan\)$"),
    (
        "training.eps",
        float("inf"),
        r"training\.eps: input should be a finite number \(it is inf\)$",
    ),
    (
        "training.epochs",
        0,
        r"training\.epochs: input should be greater than or equal to 1 \(it is 0\)$",
    ),
    (
        "training.batch_size",
        1,
        r"training\.batch_size: input should be greater than or equal to 2 \(it is 1\)$",
    ),
    ("episodes.frames.pretrain", -5, r"episodes\.frames\.pretrain: .* \(it is -5\)$"),
    (
        "episodes.frame_skip",
        1,
        r"episodes\.frame_skip: input should be greater than or equal to 2 \(it is 1\)$",
    ),
    (
        "probe.classes",
        257,
        r"probe\.classes: input should be less than or equal to 256 \(it is 257\)$",
    ),
    ("splits.min_entropy", -0.1, r"splits\.min_entropy: .* \(it is -0\.1\)$"),
    (
        "splits.pretrain",
        {"train": 1.0, "val": 0.0},
        r"splits\.pretrain\.train: input should be less than 1 .* \(and 1 more\)$",
    ),
    ("seeds", [0, -1], r"seeds\.1: input should be greater than or equal to 0 \(it is -1\)$"),
    # types
    ("training.epochs", 2.5, r"training\.epochs: .* \(it is 2\.5\)$"),
    ("training.epochs", True, r"training\.epochs: input should be a valid integer \(it is True\)$"),
    (
        "training.channels_last",
        1,
        r"training\.channels_last: input should be a valid boolean \(it is 1\)$",
    ),
    ("games", "pong", r"games: input should be a valid list \(it is 'pong'\)$"),
    ("games.0", 3, r"games\.0: input should be a valid string \(it is 3\)$"),
    ("methods", ["st-dim"], r"methods: input should be a valid dictionary$"),
    ("training", None, r"training: input should be a valid dictionary.* \(it is None\)$"),
    ("episodes.frames", 100, r"episodes\.frames: .* \(it is 100\)$"),
    # missing
    ("games", ..., r"games is missing; add it as in the repository's config\.yaml$"),
    ("training.lr", ..., r"training\.lr is missing; add it"),
    (
        "protocols.paper.splits.episode",
        ...,
        r"protocols\.paper\.splits\.episode is missing; add it",
    ),
    ("methods.st-dim", {}, r"methods\.st-dim\.kind is missing; add it"),
    # together
    ("games", [], r"games: .*at least 1 item"),
    ("methods", {}, r"methods: .*at least 1 item"),
    ("games", ["pong", "qbert", "pong"], r"games: duplicate entry 'pong'; list each once$"),
    ("seeds", [1, 1], r"seeds: duplicate entry 1; list each once$"),
    (
        "probe.kinds",
        ["linear", "mlp", "linear"],
        r"probe\.kinds: duplicate entry 'linear'; list each once$",
    ),
    ("probe.kinds", [], r"probe\.kinds: .*at least 1 item"),
    (
        "probe.kinds",
        ["liner"],
        r"probe\.kinds: unknown kind 'liner' \(did you mean linear\?\); known: linear, .*",
    ),
    (
        "probe.options.mlp.hidden",
        0,
        r"probe: options\.mlp\.hidden: 0 is not a whole number above 0",
    ),
    ("probe.options.logistic.C", 0.0, r"probe: options\.logistic\.C: 0\.0 is not a number with"),
    ("methods.st-dim.frame_stack", 0, r"methods\.st-dim\.frame_stack: .* \(it is 0\)$"),
    ("methods.st-dim.batch_size", 1, r"methods\.st-dim\.batch_size: .* \(it is 1\)$"),
    # options of kinds
    (
        "methods.vae.options",
        {"betta": 1.0},
        r"methods\.vae: options: unknown option 'betta' \(did you mean beta\?\); known: beta$",
    ),
    (
        "methods.st-dim.options",
        {"beta": 1.0},
        r"methods\.st-dim: options: unknown option 'beta'; known: none$",
    ),
    (
        "methods.maj-clf.options",
        {"beta": 1.0},
        r"methods\.maj-clf: options: unknown option 'beta'; known: none$",
    ),
    (
        "methods.cpc.options",
        {"sequence": 9},
        r"methods\.cpc: options: unknown option 'sequence'.*; known: sequence_length, "
        "horizon_step, gru_size, gru_layers$",
    ),
    (
        "methods.cpc.options",
        {"gru_size": 8.0},
        r"methods\.cpc: options\.gru_size: 8\.0 is not a whole number above 0, such as 256$",
    ),
    *[
        (
            "methods.cpc.options",
            {"gru_layers": value},
            rf"methods\.cpc: options\.gru_layers: {value!r} is not a whole number above 0",
        )
        for value in (0, -1, True, "2")
    ],
    *[
        (
            "methods.vae.options",
            {"beta": value},
            rf"methods\.vae: options\.beta: {value!r} is not a number with a decimal point above "
            r"0, such as 1\.0$",
        )
        for value in (0, 0.0, -1.0, True, float("nan"), "much", "3e-4", None)
    ],
    ("methods.vae.options", [1.0], r"methods\.vae\.options: input should be a valid dictionary"),
    # custom encoders
    *[
        (
            "methods.mine",
            {"kind": "custom", "module": module},
            rf"methods\.mine: module: {re.escape(repr(module))} does not name a class in a file; "
            r"write path/to/file\.py:Class$",
        )
        for module in (
            "mine.py",
            "mine.py:",
            ":Mine",
            "mine:Mine",
            "mine.py:My Class",
            "mine.py:3",
            "mine.pyc:Mine",
            "",
        )
    ],
    (
        "methods.mine",
        {"kind": "custom"},
        r"methods\.mine: module: None does not name a class in a file",
    ),
    *[
        (
            "methods.mine",
            {"kind": "custom", "module": "a.py:A", "weights": weights},
            rf"methods\.mine: weights: '{weights}' could run code when it is loaded; save .* as "
            r"\.safetensors or \.pt$",
        )
        for weights in ("w.pkl", "w.pth", "w", "w.pt.gz", "w.PT")
    ],
    *[
        (
            "methods.st-dim",
            {"kind": "st-dim"} | change,
            r"methods\.st-dim: module, kwargs and weights belong to kind custom; remove them or "
            "set kind: custom$",
        )
        for change in ({"module": "a.py:A"}, {"kwargs": {"depth": 3}}, {"weights": "w.pt"})
    ],
    (
        "methods.maj-clf",
        {"kind": "majority", "weights": "w.pt"},
        r"methods\.maj-clf: module, kwargs and weights belong to",
    ),
    # names that the tables need themselves
    (
        "methods.games",
        {"kind": "vae"},
        r"methods: games is reserved for a table column; choose another name$",
    ),
    ("methods.my_paper", {"kind": "vae"}, r"methods: my_paper is reserved for a table column"),
    # scaling, and which studies belong to the run
    (
        "scaling.base",
        "papr",
        r"scaling: unknown protocol 'papr' \(did you mean paper\?\); known: corrected, paper$",
    ),
    (
        "scaling.methods",
        ["st-din"],
        r"scaling\.methods: unknown method 'st-din' \(did you mean st-dim\?\); known: cpc, ",
    ),
    (
        "scaling.methods",
        ["random-cnn"],
        r"scaling\.methods: random-cnn does not learn from the encoder's frames; name others$",
    ),
    (
        "scaling.methods",
        ["supervised"],
        r"scaling\.methods: supervised does not learn from the encoder's frames",
    ),
    ("scaling.percent", [10, 100], r"scaling\.percent\.1: .*less than or equal to 99"),
    ("scaling.percent", [10, 10], r"scaling\.percent: duplicate entry 10"),
    ("scaling.percent", [], r"scaling\.percent: .*at least 1 item"),
    ("studies", ["scalin"], r"studies\.0: .*'ledger' or 'scaling'"),
    ("studies", ["ledger", "ledger"], r"studies: duplicate entry 'ledger'"),
    # the ledger
    (
        "ledger.base",
        "papr",
        r"ledger: unknown protocol 'papr' \(did you mean paper\?\); known: corrected, paper$",
    ),
    (
        "ledger.target",
        "correct",
        r"ledger: unknown protocol 'correct' \(did you mean corrected\?\); known: corrected, "
        "paper$",
    ),
    (
        "ledger.methods",
        ["st-din"],
        r"ledger\.methods: unknown method 'st-din' \(did you mean st-dim\?\); known: cpc, dim, ",
    ),
    ("ledger.methods", [], r"ledger\.methods: .*at least 1 item"),
    ("ledger.target", ..., r"ledger\.target is missing; add it"),
    (
        "protocols.paper-q5",
        PAPER["protocols"]["paper"],
        r"protocols: paper-q5 is reserved by the study ledger; rename it$",
    ),
    ("splits.probe.test", 0.3, r"splits\.probe: the shares .*'test': 0\.3.* do not add up to 1$"),
    ("splits.pretrain.val", 0.1, r"splits\.pretrain: the shares .* do not add up to 1$"),
]


@pytest.mark.parametrize(
    ("key", "value", "text"), MISTAKES, ids=[f"{key}-{value!s:.20}" for key, value, _ in MISTAKES]
)
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
    assert refusal(Config.check, content, "x").startswith(
        "x: unknown key training.epps (did you mean eps?); allowed here: "
    )


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
            "is not YAML: duplicate key st-dim (line 3)",
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
    assert refusal(Config.load, tmp_path / "my.yaml").endswith(
        "my.yaml: there is no such file; make it first"
    )
    assert "it is a directory; move it away" in refusal(Config.load, tmp_path)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"game": "pongg"}, r"unknown game 'pongg' \(did you mean pong\?\); known: asteroids"),
        ({"policy": "ppo"}, r"unknown policy 'ppo'; known: random_agent, random_agent-noop$"),
        (
            {"protocol": "papr"},
            r"unknown protocol 'papr' \(did you mean paper\?\); known: paper, corrected, "
            "paper-q1, paper-q2, ",
        ),
        (
            {"protocol": "paper-q9"},
            "unknown protocol 'paper-q9' .*; known: paper, corrected, paper-q1, .*, paper-q12, "
            "paper-p10, .*",
        ),
        (
            {"method": "st-din"},
            r"unknown method 'st-din' \(did you mean st-dim\?\); known: maj-clf, random-cnn, "
            "vae, .*, dim$",
        ),
    ],
)
def test_what_a_job_asks_for_must_be_known(asked, text):
    loaded = Config.load(ROOT / "config.yaml")
    known = {
        "game": "pong",
        "policy": "random_agent",
        "protocol": "paper",
        "method": "st-dim",
        "out": "anything",
    }
    assert loaded.validate_names(**known) is loaded
    assert re.match(text, refusal(lambda: loaded.validate_names(**known | asked)))


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
    assert said.startswith("unknown preset 'quik' (did you mean quick?); known: all-methods, quick")
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


# Options and files of a method


def test_options_are_those_declared_with_the_row_s_before_them():
    row = Method(kind="cpc", options={"gru_size": 8})
    assert row.resolved_options == kinds.declared("methods", "cpc")["OPTIONS"] | {"gru_size": 8}
    assert kinds.declared("methods", "cpc")["OPTIONS"]["gru_size"] == 256  # untouched
    assert Method(kind="vae").resolved_options == {"beta": 1.0}
    assert Method(kind="st-dim").resolved_options == Method(kind="majority").resolved_options == {}


def test_a_whole_number_is_a_number():
    assert Method(kind="vae", options={"beta": 4}).resolved_options == {"beta": 4}


def test_kinds_declare_what_their_files_say():
    for kind in kinds.names("methods"):
        assert kinds.declared("methods", kind).keys() <= {
            "OPTIONS",
            "LEARNS_FROM",
            "DECODES",
            "PROBE",
            "HAS_ENCODER",
            "SHARED_ENCODER",
        }
        assert kinds.declared("methods", kind).get("LEARNS_FROM", "pretrain") in (None, *PURPOSES)
        assert all(
            type(value) in (int, float) and value > 0
            for value in kinds.declared("methods", kind).get("OPTIONS", {}).values()
        )
    assert kinds.declared("methods", "st-dim") == {}


def test_a_configuration_is_checked_without_torch():
    code = (
        "import json, sys; from workflow_src import layout\n"
        "from workflow_src import kinds\nfrom workflow_src.config.run import Config\n"
        f"config = Config.load({str(ROOT / 'config.yaml')!r}); "
        "layout.PROBES.files(config); layout.PROBES.files(config, 'ledger')\n"
        "found = {kind: kinds.declared('methods', kind) for kind in kinds.names('methods')}\n"
        "print(json.dumps([found, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found, modules = json.loads(done.stdout)
    assert "pydantic" in modules
    assert not {
        "torch",
        "pandas",
        "sklearn",
        "workflow_src.methods",
        "workflow_src.encoders",
    } & set(modules)
    assert found == {kind: kinds.declared("methods", kind) for kind in kinds.names("methods")}


@pytest.fixture
def custom(tmp_path):
    """Write a configuration with an encoder of one's own in a folder of its own; returns the
    configuration's path.
    """

    def custom(**row):
        content = put("methods.mine", {"kind": "custom", "module": "mine/encoder.py:Mine"} | row)
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "run" / "config.yaml"

    return custom


def test_files_of_a_custom_encoder_are_looked_for_beside_the_configuration(
    custom, tmp_path, monkeypatch
):
    path = custom(weights="mine/w.pt", kwargs={"depth": 3, "names": ["a"]})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "encoder.py").write_text("")
    monkeypatch.chdir(tmp_path)  # where the file is, but not beside the configuration
    said = refusal(Config.load, path)
    assert (
        said == f"{path}: methods.mine.module: there is no file mine/encoder.py; write its path "
        "relative to the run's directory"
    )
    (path.parent / "mine").mkdir()
    (path.parent / "mine" / "encoder.py").write_text("this is no Python, and nobody reads it yet")
    assert "methods.mine.weights: there is no file mine/w.pt; write" in refusal(Config.load, path)
    (path.parent / "mine" / "w.pt").mkdir()
    assert "methods.mine.weights: there is no file mine/w.pt; write" in refusal(Config.load, path)
    (path.parent / "mine" / "w.pt").rmdir()
    (path.parent / "mine" / "w.pt").write_text("")
    row = Config.load(path).methods["mine"]
    assert row.files == {"module": Path("mine/encoder.py"), "weights": Path("mine/w.pt")}
    assert row.kwargs == {"depth": 3, "names": ["a"]}


def test_files_of_a_custom_encoder_can_be_anywhere(custom, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for module, file in (
        ("~/e.py", tmp_path / "home" / "e.py"),
        (str(tmp_path / "e:1.py"), tmp_path / "e:1.py"),
    ):
        path = custom(module=f"{module}:Mine")
        assert f"there is no file {file}" in refusal(Config.load, path)
        file.write_text("")
        assert Config.load(path).methods["mine"].files == {"module": file}


def test_other_methods_have_no_files():
    assert all(row.files == {} for row in Config.load(ROOT / "config.yaml").methods.values())


@pytest.mark.parametrize("kinds", [["linear"], ["mlp", "observed", "logistic"]])
def test_readouts(kinds):
    loaded = defaults({"probe": {"kinds": kinds}})
    expected = dict.fromkeys(loaded.methods, kinds)
    expected |= {
        "maj-clf": ["majority"],
        "supervised": ["supervised"],
        "supervised-shared": ["supervised"],
    }
    assert {
        name: row.probe_names(loaded.probe.kinds) for name, row in loaded.methods.items()
    } == expected
    assert Method(kind="custom", module="a.py:A").probe_names(loaded.probe.kinds) == kinds


# The ledger

DIFFER = [
    "Q1",
    "Q2",
    "Q4",
    "Q5",
    "Q6",
    "Q7",
    "Q8",
    "Q11",
    "Q12",
]  # Q9 is the same in paper and corrected


def switches(protocol):
    """A protocol as {(section, switch): value}."""
    return {
        (section, name): value
        for section, row in protocol.model_dump().items()
        for name, value in row.items()
    }


def test_every_switch_is_of_one_quirk():
    named = [switch for quirk in QUIRKS.values() for switch in quirk]
    assert len(set(named)) == len(named)
    assert set(named) == set(switches(defaults({}).protocols["paper"]))
    assert set(QUIRKS) == {"Q9", *DIFFER}
    assert QUIRKS["Q6"] == [("methods", "keep"), ("probes", "keep")]


def test_each_variant_is_the_base_with_one_quirk_of_the_target():
    loaded = defaults({})
    base, target = (switches(loaded.protocols[name]) for name in ("paper", "corrected"))
    assert [variant.quirk for variant in loaded.derived.ledger.variants] == DIFFER
    for variant in loaded.derived.ledger.variants:
        found = switches(variant.row)
        differing = {switch for switch in base if found[switch] != base[switch]}
        assert differing == variant.changed == set(QUIRKS[variant.quirk])
        assert all(found[switch] == target[switch] for switch in differing)
        assert variant.protocol == f"paper-{variant.quirk.lower()}"
        assert loaded.protocol(variant.protocol) is variant.row
    # Together they are the target.
    together = base | {
        switch: switches(v.row)[switch]
        for v in loaded.derived.ledger.variants
        for switch in v.changed
    }
    assert together == target


def test_a_variant_changes_only_the_switches_that_differ():
    loaded = defaults(
        {
            "protocols": {
                "corrected": {
                    "methods": {"keep": "last"},
                    "probes": {"lr": 5e-4},
                    "splits": {"episode": "life"},
                }
            }
        }
    )
    changed = {variant.quirk: variant.changed for variant in loaded.derived.ledger.variants}
    assert changed["Q6"] == {("probes", "keep")}
    assert changed["Q9"] == {("probes", "lr")}
    assert changed["Q12"] == {("splits", "keep_unfinished")}
    assert loaded.protocol("paper-q9").probes.lr == 5e-4


def test_the_ledger_goes_the_other_way_too():
    loaded = defaults({"ledger": {"base": "corrected", "target": "paper"}})
    assert loaded.protocol("corrected-q1").splits.shuffle_episodes is False
    assert loaded.protocol("corrected-q12").splits.model_dump() == loaded.protocols[
        "corrected"
    ].splits.model_dump() | {
        "episode": "life",
        "keep_unfinished": True,
    }


def test_a_run_without_a_ledger_has_no_variants():
    loaded = defaults({"ledger": None})
    assert loaded.ledger is None and "ledger" not in loaded.derived.found
    assert "has no section ledger: copy that section" in refusal(loaded.derived.require, "ledger")
    assert (
        loaded.derived.seed_protocol("paper")
        == loaded.derived.encoder_protocol("paper", loaded.methods["st-dim"])
        == "paper"
    )
    assert loaded.playing_policy("random_agent", "paper") == "random_agent"
    assert "unknown protocol 'paper-q5'" in refusal(loaded.protocol, "paper-q5")


def test_protocols_that_do_not_differ_have_no_variants():
    assert defaults({"ledger": {"target": "paper"}}).derived.ledger.variants == ()


def test_the_names_of_variants_are_the_ledger_s():
    protocol = PAPER["protocols"]["paper"]
    # Q9 has no variant, and nothing else has a name like it.
    for name in ("paper-q9", "corrected-q5", "paper-q3"):
        assert name in Config.check(put(f"protocols.{name}", protocol), "x").protocols
    content = put("protocols.paper-q5", protocol)
    content["ledger"] = None
    assert (
        Config.check(content, "x").protocol("paper-q5")
        == Config.check(PAPER, "x").protocols["paper"]
    )


def test_seeds_are_those_of_the_base():
    loaded = defaults({})
    assert {
        loaded.derived.seed_protocol(variant.protocol) for variant in loaded.derived.ledger.variants
    } == {"paper"}
    assert (loaded.derived.seed_protocol("paper"), loaded.derived.seed_protocol("corrected")) == (
        "paper",
        "corrected",
    )


@pytest.mark.parametrize(
    ("method", "as_the_base"),
    [("st-dim", {"Q9", "Q11"}), ("supervised", {"Q9"}), ("supervised-shared", {"Q9"})],
)
def test_an_encoder_is_the_base_s_where_a_quirk_does_not_touch_it(method, as_the_base):
    loaded = defaults({"protocols": {"corrected": {"probes": {"lr": 5e-4}}}})
    assert [variant.quirk for variant in loaded.derived.ledger.variants] == [
        *DIFFER[:7],
        "Q9",
        *DIFFER[7:],
    ]
    found = {
        variant.quirk: loaded.derived.encoder_protocol(variant.protocol, loaded.methods[method])
        for variant in loaded.derived.ledger.variants
    }
    assert found == {
        v.quirk: "paper" if v.quirk in as_the_base else v.protocol
        for v in loaded.derived.ledger.variants
    }
    assert [
        loaded.derived.encoder_protocol(name, loaded.methods[method]) for name in loaded.protocols
    ] == ["paper", "corrected"]


def test_an_entropy_filter_alone_touches_supervised_methods_only():
    loaded = defaults({"protocols": {"corrected": {"splits": {"min_episode_frames": 65}}}})
    assert next(v for v in loaded.derived.ledger.variants if v.quirk == "Q8").changed == {
        ("splits", "entropy_of")
    }
    assert loaded.derived.encoder_protocol("paper-q8", loaded.methods["st-dim"]) == "paper"
    assert loaded.derived.encoder_protocol("paper-q8", loaded.methods["supervised"]) == "paper-q8"


def test_a_quirk_of_both_trains_again():
    loaded = defaults({"protocols": {"corrected": {"methods": {"keep": "last"}}}})
    assert (
        loaded.derived.encoder_protocol("paper-q6", loaded.methods["st-dim"]) == "paper"
    )  # the probes' alone
    assert defaults({}).derived.encoder_protocol("paper-q6", Method(kind="st-dim")) == "paper-q6"


def test_protocols_without_q2_play_with_no_ops():
    loaded = defaults({"policies": {"other": {"kind": "random", "noop": True}}})
    for protocol in [
        *loaded.protocols,
        *(variant.protocol for variant in loaded.derived.ledger.variants),
    ]:
        asked = protocol in ("corrected", "paper-q2")
        assert loaded.playing_policy("random_agent", protocol) == "random_agent" + "-noop" * asked
        assert loaded.playing_policy("other", protocol) == "other"
    assert loaded.policy("random_agent") == Policy(kind="random", noop=False)
    assert loaded.policy("random_agent-noop") == Policy(kind="random", noop=True)
    assert loaded.policy("other") == Policy(kind="random", noop=True)
    assert "unknown policy 'other-noop' (did you mean " in refusal(loaded.policy, "other-noop")


@pytest.mark.parametrize("noop", [False, True])
def test_the_name_of_a_policy_with_no_ops_is_taken(noop):
    said = refusal(defaults, {"policies": {"random_agent-noop": {"kind": "random", "noop": noop}}})
    assert said == (
        "settings: policies: random_agent-noop is reserved for random_agent with no-ops; rename it"
    )


def test_a_method_stands_once_in_the_ledger():
    said = refusal(defaults, {"ledger": {"methods": ["st-dim", "random-cnn", "st-dim"]}})
    assert said == "settings: ledger.methods: duplicate entry 'st-dim'; list each once"


def test_an_option_is_finite():
    assert "options.beta: inf is not a number" in refusal(
        defaults, {"methods": {"vae": {"options": {"beta": float("inf")}}}}
    )


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"kind": "random-cnn", "epochs": 5}, "epochs"),
        ({"kind": "majority", "encoder": "impala"}, "encoder"),
        ({"kind": "majority", "frame_stack": 2}, "frame_stack"),
        ({"kind": "custom", "module": "a.py:A", "feature_size": 7}, "feature_size"),
        ({"kind": "custom", "module": "a.py:A", "lr": 1e-3}, "lr"),
    ],
)
def test_a_setting_without_effect_is_refused(row, key):
    said = refusal(defaults, {"methods": {"mine": row}})
    assert said == f"settings: methods.mine: {key} has no effect on kind {row['kind']}; remove it"


@pytest.mark.parametrize(
    "value", ["2020-01-01", ".inf", "!!set {a, b}", "!!binary AAAA", "{1: 2, a: !!set {b}}"]
)
def test_keyword_arguments_are_what_a_header_can_hold(value):
    kwargs = yaml.safe_load(f"{{names: {value}}}")
    said = refusal(
        defaults, {"methods": {"mine": {"kind": "custom", "module": "a.py:A", "kwargs": kwargs}}}
    )
    assert said.startswith("settings: methods.mine: kwargs: ")


# Where files lie


@pytest.fixture
def small():
    return defaults(
        {
            "games": ["pong", "qbert"],
            "seeds": [0, 7],
            "policies": {"other": {"kind": "random", "noop": True}},
            "probe": {"kinds": ["mlp", "linear"]},
            "methods": {
                name: None
                for name in PAPER["methods"]
                if name not in ("maj-clf", "vae", "pixel-pred", "supervised")
            },
            "ledger": {"methods": ["vae", "supervised", "maj-clf"]},
            "scaling": {"percent": [5, 40], "methods": ["vae"]},
        }
    )


def parsed(template, files):
    """The wildcards of each file, which must be of ``template``: {(game, policy, ...) in the order
    of the template}.
    """
    pattern = "".join(
        re.escape(text) + (f"(?P<{name}>[a-z0-9_-]+?)" if name else "")
        for text, name, *_ in string.Formatter().parse(template)
    )
    found = [re.fullmatch(pattern, file) for file in files]
    assert all(found)
    rows = [match.groupdict() for match in found]
    assert [template.format(**row) for row in rows] == list(files)
    assert len(set(files)) == len(files)
    return rows


def axes(rows, *names):
    return {tuple(row[name] for name in names) for row in rows}


def product(*values):
    found = {()}
    for some in values:
        found = {(*before, value) for before in found for value in some}
    return found


GAMES_SEEDS, PLAYERS, RULES = (
    [["pong", "qbert"], ["0", "7"]],
    ["random_agent", "other"],
    ["paper", "corrected"],
)


def test_files_of_frames_and_splits(small):
    rows = parsed(layout.EPISODES.path, layout.EPISODES.files(small))
    played = [*PLAYERS, "random_agent-noop"]  # for corrected
    assert axes(rows, "policy", "purpose", "game", "seed") == product(
        played, PURPOSES, *GAMES_SEEDS
    )
    assert layout.EPISODES.files(small)[0] == "results/episodes/random_agent/pretrain/pong-s0.b2nd"
    rows = parsed(layout.SPLITS.path, layout.SPLITS.files(small))
    assert axes(rows, "policy", "protocol", "purpose", "game", "seed") == product(
        PLAYERS, RULES, PURPOSES, *GAMES_SEEDS
    )
    assert (
        layout.SPLITS.files(small)[0]
        == "results/splits/random_agent/paper/pretrain/pong-s0.safetensors"
    )


@pytest.mark.parametrize("artifact", [layout.ENCODERS, layout.HISTORIES], ids=lambda a: a.path)
def test_files_of_encoders(small, artifact):
    rows = parsed(artifact.path, artifact.files(small))
    learned = [["vae", "pixel-pred", "supervised"]]
    assert axes(rows, "policy", "protocol", "method", "game", "seed") == product(
        PLAYERS, RULES, *learned, *GAMES_SEEDS
    )


def test_files_of_probes(small):
    rows = parsed(layout.PROBES.path, layout.PROBES.files(small))
    assert axes(rows, "policy", "protocol", "game", "seed") == product(PLAYERS, RULES, *GAMES_SEEDS)
    readouts = {("maj-clf", "majority"), ("supervised", "supervised")}
    readouts |= product(["vae", "pixel-pred"], ["mlp", "linear"])
    assert axes(rows, "method", "probe") == readouts
    assert len(rows) == 6 * 2 * 2 * 2 * 2
    # Every encoder is probed, and every probe but the majority's has an encoder.
    names = ("policy", "protocol", "method", "game", "seed")
    assert axes([row for row in rows if row["probe"] != "majority"], *names) == axes(
        parsed(layout.ENCODERS.path, layout.ENCODERS.files(small)), *names
    )


def test_files_of_the_ledger(small):
    rows = parsed(layout.PROBES.path, layout.PROBES.files(small, "ledger"))
    variants = ["paper", *(f"paper-{quirk.lower()}" for quirk in DIFFER)]
    assert axes(rows, "policy", "protocol", "game", "seed") == product(
        PLAYERS, variants, *GAMES_SEEDS
    )
    # The readout of the tables alone.
    assert axes(rows, "method", "probe") == {
        ("vae", "mlp"),
        ("supervised", "supervised"),
        ("maj-clf", "majority"),
    }
    assert len(rows) == 3 * 10 * 8
    # The base's are the tables' own.
    shared = set(layout.PROBES.files(small, "ledger")) & set(layout.PROBES.files(small))
    assert (
        shared == {file for file in layout.PROBES.files(small, "ledger") if "/paper/" in file}
        and len(shared) == 3 * 8
    )
    assert layout.PROBES.files(small.model_copy(update={"ledger": None}), "ledger") == []


def test_files_of_scaling(small):
    rows = parsed(layout.PROBES.path, layout.PROBES.files(small, "scaling"))
    assert axes(rows, "policy", "protocol", "game", "seed") == product(
        PLAYERS, ["paper", "paper-p5", "paper-p40"], *GAMES_SEEDS
    )
    assert axes(rows, "method", "probe") == {("vae", "mlp")}
    assert (
        1000 * small.derived.percent("paper-p5") // 100,
        999 * small.derived.percent("paper-p40") // 100,
        1000 * small.derived.percent("paper") // 100,
    ) == (50, 399, 1000)


def test_folders_have_the_studies_that_belong_to_the_run(small):
    both = small.model_copy(update={"studies": ["ledger", "scaling"]})
    more = layout.folders(both).keys() - layout.folders(small).keys()
    assert "results/splits/random_agent/paper-p5/pretrain" in more
    assert "results/encoders/random_agent/paper-p40/vae" in more
    assert "results/probes/other/paper-q1/maj-clf/majority" in more
    assert "results/encoders/random_agent/paper-q11/vae" not in more  # probed on the base's
    # No file twice, and every score of the studies is of a folder.
    files = [file for folder in layout.folders(both).values() for file in folder]
    assert len(set(files)) == len(files)
    assert {*layout.PROBES.files(both, "ledger"), *layout.PROBES.files(both, "scaling")} <= set(
        files
    )
    assert {
        f"results/{kind}/scaling.{end}" for kind, end in (("tables", "csv"), ("tables", "tex"))
    } <= set(layout.everything(both))
    assert "results/figures/scaling.pdf" in layout.everything(both)
    assert "results/figures/scaling.pdf" not in layout.everything(small)


def test_a_study_without_its_section_is_refused():
    said = refusal(defaults, {"scaling": None, "studies": ["scaling"]})
    assert (
        said == "settings: studies: there is no section scaling; add it, or remove it from the list"
    )


def test_a_study_compares_with_the_seeds_and_switches_of_its_base(small):
    assert small.protocol("paper-p5") == small.protocols["paper"]
    assert small.derived.seed_protocol("paper-p5") == "paper"
    assert small.derived.parents("paper-q5") == ["paper", "corrected"]
    assert small.derived.encoder_protocol("paper-p5", small.methods["vae"]) == "paper-p5"


def test_files_of_examples(small):
    assert layout.EXAMPLES.files(small.for_game("qbert")) == [
        "results/examples/random_agent/paper/vae/qbert-s0.safetensors",
        "results/examples/random_agent/paper/pixel-pred/qbert-s0.safetensors",
    ]
    few = small.model_copy(update={"methods": {"maj-clf": small.methods["maj-clf"]}})
    assert layout.EXAMPLES.files(few.for_game("pong")) == layout.ENCODERS.files(few) == []


def test_no_two_files_have_one_name(small):
    files = [
        *layout.EPISODES.files(small),
        *layout.SPLITS.files(small),
        *layout.ENCODERS.files(small),
        *layout.HISTORIES.files(small),
    ]
    files += [file for game in small.games for file in layout.EXAMPLES.files(small.for_game(game))]
    files += [
        *{*layout.PROBES.files(small), *layout.PROBES.files(small, "ledger")},
        layout.SCORES.path,
        layout.STUDY_SCORES.path.format(study="ledger"),
    ]
    assert len(set(files)) == len(files)


def test_names_come_back_from_every_path(small):
    for artifact in layout.ARTIFACTS:
        for file in artifact.all_files(small):
            found, names = layout.find(file)
            assert found.path.format(**names) == file and found.step == artifact.step
    assert layout.find("results/nothing.txt") is None


def test_audits_have_games_of_their_own():
    for file in (
        "results/audit/measured/boxing.safetensors",
        "results/audit/paper-2019/boxing.csv",
    ):
        assert (layout.step_of(file), layout.game_of(file)) == ("audit", "boxing")
    assert layout.game_of("results/tables/iqm.csv") is None
    assert layout.step_of("results/episodes/random_agent/probe") == "episodes"


def test_an_artifact_can_have_any_axes(small):
    """Such as those of agents: agent, game, seed, checkpoint."""

    def axes(config, scope):
        for game in config.games:
            yield {"agent": "dqn", "game": game, "seed": 0, "checkpoint": 700}

    path = "results/agents/{agent}/{game}-s{seed}-{checkpoint}.safetensors"
    agents = layout.Artifact("agents", path, axes, when=lambda config: "pong" in config.games)
    assert agents.files(small)[0] == "results/agents/dqn/pong-s0-700.safetensors"
    names = {"agent": "dqn", "game": "pong", "seed": "0", "checkpoint": "700"}
    assert agents.parse(agents.files(small)[0]) == names and agents.has_folder
    assert agents.files(small.for_game("qbert")) == []
