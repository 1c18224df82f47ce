"""What a person can get wrong in a configuration: one line each, with the key and the fix."""

import os
import re

import pytest
import yaml
from configs import PAPER, ROOT, put, refusal

from workflow_src.config.run import PACKAGED, Config, defaults
from workflow_src.errors import UserError

MISTAKES = [
    # unknown keys
    (
        "gamess",
        ["pong"],
        r"unknown key gamess \(did you mean games\?\); allowed here: seeds, games, .*, probe, "
        "agent_protocols, agents, recordings, ledger, scaling, convergence, transfer, control, "
        "studies$",
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
        "noop, agent, checkpoint, random, sample$",
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
        r"label_set: unknown label set 'paper-2018' \(did you mean paper-2019\?\); known: .*ated$",
    ),
    (
        "methods.st-dim.kind",
        "st-din",
        r"methods\.st-dim\.kind: unknown kind 'st-din' \(did you mean st-dim\?\); known: agent, "
        "combined, conditioned, cpc, .*majority, .*st-dim",
    ),
    (
        "methods.st-dim.encoder",
        "nateur",
        r"methods\.st-dim\.encoder: unknown encoder 'nateur' \(did you mean nature\?\); known: "
        "dqn, impala, nature$",
    ),
    ("device", "gpu", r"device: input should be 'auto', 'cpu' or 'cuda' \(it is 'gpu'\)$"),
    (
        "training.precision",
        "float16",
        r"training\.precision: .*'auto', 'float32' or 'bfloat16' \(it is 'float16'\)$",
    ),
    (
        "policies.random_agent.kind",
        "ppo",
        r"policies\.random_agent\.kind: unknown kind 'ppo'; known: agent, random$",
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
        "protocols.paper.splits.split_by",
        ...,
        r"protocols\.paper\.splits\.split_by is missing; add it",
    ),
    ("methods.st-dim", {}, r"methods\.st-dim\.kind is missing; add it"),
    (
        "protocols.corrected.splits.episode",
        "game",
        r"protocols\.corrected\.splits\.episode is now called split_by; rename it$",
    ),
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
        r"probe: options\.mlp\.hidden: 0 is not a whole number from 1 to 1000000",
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
        r"methods\.cpc: options\.gru_size: 8\.0 is not a whole number from 1 to 1000000, such as "
        "256$",
    ),
    *[
        (
            "methods.cpc.options",
            {"gru_layers": value},
            rf"methods\.cpc: options\.gru_layers: {value!r} is not a whole number from 1 to 1",
        )
        for value in (0, -1, True, "2")
    ],
    *[
        (
            "methods.vae.options",
            {"beta": value},
            rf"methods\.vae: options\.beta: {value!r} is not a number with a decimal point above "
            r"0 and at most 1000000, such as 1\.0$",
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
            r"methods\.st-dim: module, kwargs, input and weights belong to kind custom; remove "
            "them or set kind: custom$",
        )
        for change in ({"module": "a.py:A"}, {"kwargs": {"depth": 3}}, {"weights": "w.pt"})
    ],
    (
        "methods.maj-clf",
        {"kind": "majority", "weights": "w.pt"},
        r"methods\.maj-clf: module, kwargs, input and weights belong to",
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
    (
        "studies",
        ["scalin"],
        r"studies\.0: .*'ledger', 'scaling', 'convergence', 'transfer' or 'control'",
    ),
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
    (
        "methods.random-cnn-whitened.of",
        [[]],
        r"methods\.random-cnn-whitened\.of: input should be a valid string",
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


ODDITIES = {
    "octal": ("noop_max: 30", "noop_max: 030", r"'030' is not a decimal number \(line 21\); write"),
    "octal of YAML 1.2": ("noop_max: 30", "noop_max: 0o30", r"'0o30' is text, not a .* digits"),
    "sexagesimal": ("noop_max: 30", "noop_max: 1:30", r"'1:30' is not a decimal number"),
    "hexadecimal": ("noop_max: 30", "noop_max: 0x1e", r"'0x1e' is not a decimal number"),
    "binary": ("noop_max: 30", "noop_max: 0b11110", r"'0b11110' is not a decimal number"),
    "underscores": ("100000,", "100_000,", r"'100_000' is not a decimal number"),
    "fraction in 60ths": ("entropy: 0.6", "entropy: 1:30.5", r"'1:30\.5' is not a decimal number"),
    "tag of a bool": ("device: auto", "device: !!bool cpu", r"tag '.*:bool' \(line 7\); write the"),
    "tag of a number": ("noop_max: 30", "noop_max: !!float x", r"tag '.*:float'"),
    "tag of a date": ("noop_max: 30", "noop_max: !!timestamp x", r"tag '.*:timestamp'"),
    "tag of Python": ("device: auto", "device: !!python/object:os.system {}", r"tag '.*system'"),
    "deep list": ("device: auto", f"device: {'[' * 1500}{']' * 1500}", r"nested more than 20 deep"),
    "no end": ("device: auto", "device: " + "[" * 100_000, r"nested more than 20 deep"),
    "aliases": (
        "device: auto",
        "device: auto\na: &a [1]\nb: &b [*a, *a]",
        r"alias \*a .* write it",
    ),
    "itself": ("device: auto", "device: auto\na: &a [*a]", r"alias \*a \(line 8\) multiplies"),
    "line break": ("device: auto", r'device: "a\nb"', r"'a\\nb' has a control character or a line"),
    "NUL": ("device: auto", r'device: "a\0b"', r"'a\\x00b' has a control character"),
    "half a character": ("device: auto", r'device: "\ud800"', r"'\\ud800' has a control character"),
    "key of a list": ("  vae: {", "  [vae]: {", r"a key is no text \(line 73\)"),
    "long name": ("  vae: {", f"  {'v' * 300}: {{", r"methods\.v+.*64 characters"),
    "twice": ("device: auto", "device: auto\ndevice: cpu", r"duplicate key device \(line 5\)"),
    "large": ("device: auto", "device: auto #" + "x" * 2_000_000, r"2\.0 MB is no configuration"),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_what_yaml_reads_otherwise_than_people_write_it(tmp_path, name):
    before, after, text = ODDITIES[name]
    content = PACKAGED.read_text()
    assert content.count(before) >= 1
    path = tmp_path / "my.yaml"
    path.write_text(content.replace(before, after, 1))
    said = refusal(Config.load, path)
    assert re.search(text, said)
    assert str(path) in said and "\n" not in said and len(said) < 2000


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + PACKAGED.read_bytes().replace(b"\n", b"\r\n"))
    assert Config.load(path) == Config.load(PACKAGED)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("~nobody-of-this-name/x.py", r"there is no home directory of ~nobody-of-this-name; write"),
        ("a" * 300 + ".py", r"cannot read methods\.mine\.module, a+\.py: the name is too long"),
        ("a/" * 3000 + "x.py", r"cannot read methods\.mine\.module, .*: the name is too long"),
        ("loop.py", r"methods\.mine\.module: there is no file loop\.py; write its path"),
        ("folder.py", r"methods\.mine\.module: there is no file folder\.py; write its path"),
    ],
    ids=["no user", "long name", "long path", "link to itself", "folder"],
)
def test_a_file_of_a_row_that_cannot_be(tmp_path, file, text):
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "folder.py").mkdir()
    path = tmp_path / "my.yaml"
    content = put("methods.mine", {"kind": "custom", "module": f"{file}:Encoder"})
    path.write_text(yaml.safe_dump(content, width=10**9))
    said = refusal(Config.load, path)
    assert re.search(text, said)
    assert len(said) < 2000


@pytest.mark.parametrize("what", ["pipe", "device", "link to itself"])
def test_a_configuration_that_is_not_a_file(tmp_path, what):
    path = tmp_path / "my.yaml"
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if what == "device" else path.name)
    said = refusal(Config.load, path)
    assert re.fullmatch(
        r"cannot read .*my\.yaml: (it is not a file; name|its symbolic links).*", said
    )


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
            "unknown protocol 'paper-q9' .*; known: paper, corrected, paper-q1, .*, paper-q15, "
            "paper-p10, .*",
        ),
        (
            {"method": "st-din"},
            r"unknown method 'st-din' \(did you mean st-dim\?\); known: maj-clf, random-cnn, "
            ".*vae, .*, dim$",
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


HUGE = 10**9


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seeds", [2**64]),
        ("seeds", list(range(1001))),
        *(
            (key, HUGE)
            for key in (
                "trainings_per_gpu",
                "episodes.frames.pretrain",
                "episodes.frames.probe",
                "episodes.num_envs",
                "episodes.frame_skip",
                "episodes.noop_max",
                "splits.min_entropy",
                "training.epochs",
                "training.patience",
                "training.batch_size",
                "training.threads",
                "training.lr",
                "methods.st-dim.feature_size",
                "methods.st-dim.frame_stack",
                "methods.st-dim.epochs",
                "methods.st-dim.batch_size",
                "probe.epochs",
                "probe.patience",
                "probe.batch_size",
                "probe.threads",
                "probe.plateau_patience",
                "protocols.paper.splits.min_episode_frames",
                "agent_protocols.classic.noop_max",
            )
        ),
        ("training.eps", 2.0),
        ("probe.eps", 2.0),
        ("probe.min_lr", 2.0),
        ("agent_protocols.classic.max_frames", 10**12),
    ],
)
def test_absurd_numbers_are_refused(key, value):
    with pytest.raises(UserError) as error:
        Config.check(put(key, value), "x")
    assert str(error.value).startswith(f"x: {key}") and "\n" not in str(error.value)
    assert "at most" in str(error.value) or "less than" in str(error.value)


@pytest.mark.parametrize("option", ["gru_size", "gru_layers", "sequence_length"])
def test_absurd_options_are_refused(option):
    content = put(f"methods.cpc.options.{option}", HUGE)
    with pytest.raises(UserError, match=rf"methods\.cpc.*{option}: {HUGE} is not a whole number"):
        Config.check(content, "x")


@pytest.mark.parametrize("kwargs", [{"sizes": {1: 2}}, {"a": [{"b": {2.5: 1}}]}, {"a": {True: 1}}])
def test_arguments_that_would_come_back_otherwise_are_refused(kwargs):
    content = put("methods.mine", {"kind": "custom", "module": "a.py:A", "kwargs": kwargs})
    with pytest.raises(UserError, match=r"methods\.mine.*kwargs: keys of mappings must be text"):
        Config.check(content, "x")
