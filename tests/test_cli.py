"""The command line: help is quick, and what a person gets wrong is one line, exit code 2 and no
file.
"""

import errno
import hashlib
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner
from matplotlib.figure import Figure

from workflow_src import artifacts, encoders, layout
from workflow_src.cli.main import cli, main
from workflow_src.config.run import PACKAGED, Config
from workflow_src.csv_files import read_csv, write_csv
from workflow_src.episodes.dataset import read_split
from workflow_src.errors import UserError
from workflow_src.report.figures import style
from workflow_src.training import objective, reconstruct

ROOT = Path(__file__).parents[1]
JOBS = ["episodes", "splits", "encoders", "probes", "examples"]
STUDIES = ["ledger", "scaling", "convergence", "transfer", "control"]
REPORTS = ["scores", "tables", "variables", "figures", "agreement", "curves", *STUDIES, "report"]
BRIDGE = ["stages", "code", "record", "adopt", "verify"]
AUDIT = ["audit-measure", "audit", "audit-frames", "audit-summary", "calibrate", "calibration"]
AGENTS = ["agents", "published-agents", "evaluations", "recordings", "films", "movies"]
AGENTS += ["agent-scores"]
STEPS = [
    "probe",
    "export",
    "init",
    "tensorboard",
    "configure",
    "demo",
    "play",
    "compare",
    "check-scores",
    *JOBS,
    *AGENTS,
    *REPORTS,
    *AUDIT,
    "frames-by-policy",
    "attributions",
    "saliency",
    "reconstructions",
    "readings",
    "paper",
    "show",
    *BRIDGE,
]
JOB = {"game": "breakout", "policy": "random_agent", "seed": "0"}


def run(*arguments, **environment):
    command = [sys.executable, "-m", "workflow_src", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | environment
    )


def options(**named):
    return [part for name, value in named.items() for part in (f"--{name}", str(value))]


def tree(directory):
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(directory.rglob("*"))
    }


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Run a step that must refuse, in this process; returns the one line that it says."""

    def call(*arguments, code=2):
        before = tree(tmp_path)
        monkeypatch.setattr(sys, "argv", ["workflow_src", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert ended.value.code == code
        assert out == ""
        assert err.startswith("error: ") and err.count("\n") == 1 and err.endswith("\n"), err
        assert tree(tmp_path) == before
        return err

    return call


@pytest.fixture
def config(tmp_path, collected):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(collected.config.model_dump(), sort_keys=False))
    assert Config.load(path) == collected.config
    return path


@pytest.fixture
def step(config, tmp_path, collected):
    """Arguments of a step that would run; changed by name, None leaving one away."""
    out, history = tmp_path / "made" / "out", tmp_path / "made" / "history.csv"
    pretrain = {"frames": collected.frames("pretrain"), "split": collected.split("pretrain")}
    probe = {"frames": collected.frames("probe"), "split": collected.split("probe")}
    split_of = {"protocol": "paper", "purpose": "pretrain", "frames": pretrain["frames"]}
    encoder_of = {"protocol": "paper", "method": "st-dim", **pretrain, "history": history}
    probe_of = {
        "protocol": "paper",
        "method": "random-cnn",
        "probe": "linear",
        **probe,
        "weights": tmp_path / "weights",
    }
    examples_of = {
        "protocol": "paper",
        "method": "vae",
        **pretrain,
        "weights": tmp_path / "weights",
    }
    steps = {
        "episodes": {"purpose": "pretrain"},
        "splits": split_of,
        "encoders": encoder_of,
        "probes": probe_of,
    }
    steps["examples"] = examples_of

    def arguments(name, **change):
        named = {"config": config, **JOB, **steps[name], "out": out} | change
        return [name, *options(**{key: value for key, value in named.items() if value is not None})]

    return arguments


# Help


def test_help_lists_the_steps_in_the_way_of_the_data():
    result = CliRunner().invoke(cli, ["--help"], terminal_width=200)
    assert result.exit_code == 0
    listed = re.findall(r"^  ([a-z-]+)  +\S", result.output.partition("Commands:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(STEPS) == sorted(cli.commands)


@pytest.mark.parametrize("name", STEPS)
def test_help_of_a_step(name):
    for option in ("--help", "-h"):
        result = CliRunner().invoke(cli, [name, option])
        assert result.exit_code == 0
        assert result.output.startswith(f"Usage: cli {name} ")
        first = cli.commands[name].help.partition("\n")[0]
        assert first in " ".join(result.output.split())


def test_every_option_has_a_help():
    for command in cli.commands.values():
        assert all(
            option.help for option in command.params if option.param_type_name == "option"
        ), command.name


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from workflow_src.cli.main import cli\n"
        "for arguments in [['--help'], *([name, '--help'] for name in cli.commands)]:\n"
        "    cli(arguments, standalone_mode=False)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    packages = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "click" in packages
    heavy = {
        "torch",
        "numpy",
        "pandas",
        "pydantic",
        "gymnasium",
        "ale_py",
        "matplotlib",
        "blosc2",
        "cv2",
        "sklearn",
        "scipy",
    }
    assert not packages & heavy


def test_the_module_is_a_program():
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("python -m workflow_src, version ")


# What works, so that the refusals below are about what they say


def test_steps_run(step, tmp_path, capfd):
    out, history = tmp_path / "made" / "out", tmp_path / "made" / "history.csv"
    for arguments in (
        step("splits"),
        [*step("encoders", method="random-cnn", frames=None, split=None), "--quiet"],
        step("probes", method="maj-clf", probe="majority", weights=None),
        step("episodes", policy="random_agent-noop"),  # of a protocol with no-ops
    ):
        assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
        assert out.stat().st_size
        out.unlink()
    assert read_csv(history, text=[]).columns.tolist() == ["epoch"]
    assert [path.name for path in out.parent.iterdir()] == ["history.csv"]


@pytest.fixture
def untrained(tmp_path, collected):
    """Write the weights of an untrained method of the configuration, as the step of encoders stores
    them.
    """

    def untrained(method, **supervision):
        row = collected.config.methods[method]
        model = objective.find(row.kind)(row, torch.Generator().manual_seed(0), **supervision)
        heads = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if not name.startswith("encoder.")
        }
        header = {
            "encoder": "nature",
            "feature_size": row.feature_size,
            "game": "breakout",
            "method": method,
        }
        encoders.save(tmp_path / "weights", model.encoder, header | model.header, heads)

    return untrained


def test_a_probe_of_an_encoder_and_of_a_classifier(step, untrained, config, tmp_path, collected):
    content = yaml.safe_load(config.read_text())
    content["probe"] |= {
        "kinds": ["mlp", "logistic"],
        "options": {"logistic": {"C": 1.0, "max_iter": 2}, "mlp": {"hidden": 8}},
    }
    config.write_text(yaml.safe_dump(content))
    kept = [
        name for name, row in read_split(collected.split("probe")).variables.items() if row["kept"]
    ]
    for method, supervision, readouts in (
        ("random-cnn", {}, ["mlp", "logistic"]),
        ("supervised-shared", {"variables": kept, "classes": 256}, ["supervised"]),
    ):
        untrained(method, **supervision)
        for readout in readouts:
            asked = step("probes", method=method, probe=readout)
            assert CliRunner().invoke(cli, asked, catch_exceptions=False).exit_code == 0
            found = artifacts.read_json(tmp_path / "made" / "out")
            assert (found["method"], found["probe"], list(found["variables"])) == (
                method,
                readout,
                sorted(kept),
            )


def test_a_classifier_of_other_variables(refused, step, untrained):
    untrained("supervised-shared", variables=["player_x"], classes=256)
    said = refused(*step("probes", method="supervised-shared", probe="supervised"))
    assert "weights has variables ['player_x'], but the configuration says ['" in said


def test_examples_and_reconstructions(step, untrained, tmp_path):
    untrained("vae")
    out, figure = tmp_path / "made" / "out", tmp_path / "figures" / "breakout"
    assert CliRunner().invoke(cli, step("examples"), catch_exceptions=False).exit_code == 0
    arrays, header = artifacts.read_arrays(out, reconstruct.KIND)
    assert {
        name: (array.dtype.name, array.shape) for name, array in arrays.items()
    } == dict.fromkeys(("input", "target", "output"), ("uint8", (reconstruct.NUMBER, 210, 160)))
    assert (header["game"], header["method"], header["seed"]) == ("breakout", "vae", 0)
    drawn = ["reconstructions", str(out), str(out), "--out", str(figure)]
    assert CliRunner().invoke(cli, drawn, catch_exceptions=False).exit_code == 0
    assert sorted(path.name for path in figure.parent.iterdir()) == ["breakout.pdf", "breakout.png"]


@pytest.fixture
def run_of(config, tmp_path, monkeypatch):
    """The current directory, with the configuration of a run of few methods."""

    def run_of(**change):
        content = yaml.safe_load(config.read_text()) | change
        few = ("maj-clf", "random-cnn")
        content["methods"] = {name: row for name, row in content["methods"].items() if name in few}
        content["ledger"] = {"base": "paper", "target": "corrected", "methods": ["maj-clf"]}
        content["scaling"] = None
        config.write_text(yaml.safe_dump(content | change, sort_keys=False))
        monkeypatch.chdir(tmp_path)
        return Config.load(config)

    return run_of


def scored(file):
    """A probe's file as `probe` would write it, of the names that its path has."""
    _, _, policy, protocol, method, probe, last = Path(file).parts
    game, _, seed = last.removesuffix(".json").rpartition("-s")
    names = {
        "policy": policy,
        "protocol": protocol,
        "method": method,
        "probe": probe,
        "game": game,
        "seed": int(seed),
    }
    metric = {"f1": 0.5, "accuracy": 0.25}
    means = dict.fromkeys(["mean_over_categories", "mean_over_variables", "mean_weighted"], metric)
    content = {
        "label_set": "paper-2019",
        "variables": {"player_x": metric},
        "categories": {"agent_localization": metric},
    }
    artifacts.write_checked_json(file, names | content | means)


def test_scores_are_those_of_the_configuration(run_of, config, tmp_path):
    of_run = run_of()
    asked = ["scores", "--config", "config.yaml", "--out", "scores.csv"]
    for files, more in (
        (layout.PROBES.files(of_run), []),
        (layout.PROBES.files(of_run, "ledger"), ["--study", "ledger"]),
    ):
        for file in files:
            scored(file)
        assert CliRunner().invoke(cli, [*asked, *more], catch_exceptions=False).exit_code == 0
        rows = [line.split(",") for line in (tmp_path / "scores.csv").read_text().splitlines()[1:]]
        found = {
            layout.PROBES.path.format(
                policy=r[0], protocol=r[1], method=r[2], probe=r[3], game=r[4], seed=r[5]
            )
            for r in rows
        }
        assert found == set(files)


def test_a_game_that_the_run_does_not_have(refused, config, tmp_path):
    asked = ["variables", *options(config=config, scores=tmp_path / "scores.csv", game="pong")]
    said = refused(*asked, *options(reference=ROOT / "reference", out=tmp_path / "pong"))
    assert said == "error: unknown game 'pong'; known: breakout\n"


def test_a_ledger_of_its_scores(run_of, tmp_path):
    for file in layout.PROBES.files(run_of(), "ledger"):
        scored(file)
    made = CliRunner().invoke(
        cli, ["scores", "--study", "ledger", "--out", "scores.csv"], catch_exceptions=False
    )
    assert made.exit_code == 0
    asked = ["ledger", *options(scores="scores.csv", tables="tables", figures="figures")]
    assert CliRunner().invoke(cli, asked, catch_exceptions=False).exit_code == 0
    written = [
        path.name
        for folder in ("tables", "figures")
        for path in sorted((tmp_path / folder).iterdir())
    ]
    assert written == ["ledger.csv", "ledger.tex", "ledger.pdf", "ledger.png"]


def test_curves_are_those_of_the_configuration(run_of, tmp_path):
    for file in layout.HISTORIES.files(run_of()):
        losses = {"epoch": [0, 1], "train_loss": [2.0, 1.0], "val_loss": [2.1, 1.1]}
        write_csv(file, pd.DataFrame(losses))
    assert (
        CliRunner().invoke(cli, ["curves", "--out", "figures"], catch_exceptions=False).exit_code
        == 0
    )
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "learning_curves.pdf",
        "learning_curves.png",
    ]


MINE = """
import torch
class Mine(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.linear = torch.nn.Linear(160, 5)
        self.scale = scale
    def forward(self, frames):
        return self.scale * self.linear(frames[:, 0].mean(1))
"""


@pytest.fixture
def mine(config, tmp_path, monkeypatch):
    """A run with an encoder of one's own, as file and row beside the configuration, which is the
    current directory.
    """
    content = yaml.safe_load(config.read_text())
    content["methods"]["mine"] = {
        "kind": "custom",
        "module": "mine.py:Mine",
        "kwargs": {"scale": 2.0},
    }
    config.write_text(yaml.safe_dump(content))
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.py"


def test_an_encoder_of_one_s_own(step, mine, tmp_path):
    made = step("encoders", method="mine", frames=None, split=None, out=tmp_path / "weights")
    for arguments in (made, step("probes", method="mine")):
        assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    row = Config.load(tmp_path / "config.yaml").methods["mine"]
    encoder, header = encoders.load(tmp_path / "weights", row)
    assert (header["module"], header["feature_size"], encoder.scale) == ("mine.py", 5, 2.0)
    assert artifacts.read_json(tmp_path / "made" / "out")["method"] == "mine"


def test_a_seed_and_a_config_are_what_the_options_say(step, tmp_path):
    made = {}
    for seed in (0, 1):
        arguments = step(
            "encoders",
            method="random-cnn",
            frames=None,
            split=None,
            seed=seed,
            out=tmp_path / f"w{seed}",
        )
        CliRunner().invoke(cli, arguments, catch_exceptions=False)
        row = Config.load(tmp_path / "config.yaml").methods["random-cnn"]
        encoder, header = encoders.load(tmp_path / f"w{seed}", row)
        assert (header["seed"], header["method"], header["game"]) == (
            seed,
            "random-cnn",
            "breakout",
        )
        made[seed] = next(encoder.parameters())
    assert not torch.equal(made[0], made[1])


# Refusals


def test_a_real_process_says_one_line_and_ends_with_2(step, tmp_path):
    before = tree(tmp_path)
    done = run(*step("encoders", game="breakoutt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        "error: unknown game 'breakoutt' (did you mean breakout?); known: asteroids, "
    )
    assert tree(tmp_path) == before


def test_cuda_is_refused_by_a_process_that_sees_none(step, config, tmp_path):
    config.write_text(config.read_text().replace("device: cpu", "device: cuda"))
    before = tree(tmp_path)
    done = run(*step("encoders"), CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "error: device: cuda, but this machine has no usable CUDA device; set device: auto or"
    )
    assert done.stderr.count("\n") == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "option", "value", "text"),
    [
        (name, option, value, text)
        for option, value, text, names in [
            (
                "game",
                "breakou",
                "unknown game 'breakou' (did you mean breakout?); known: asteroids",
                JOBS,
            ),
            ("game", "skiing", "unknown game 'skiing'", JOBS),
            ("policy", "ppo", "unknown policy 'ppo'; known: random_agent, random_agent-noop", JOBS),
            (
                "protocol",
                "papr",
                "unknown protocol 'papr' (did you mean paper?); known: ",
                JOBS[1:],
            ),
            ("protocol", "paper-q9", "unknown protocol 'paper-q9'", JOBS[1:]),
            (
                "method",
                "st-din",
                "unknown method 'st-din' (did you mean st-dim?); known: ",
                JOBS[2:],
            ),
            (
                "probe",
                "liner",
                "unknown probe of random-cnn 'liner' (did you mean linear?); known: linear",
                ["probes"],
            ),
            (
                "probe",
                "majority",
                "unknown probe of random-cnn 'majority'; known: linear",
                ["probes"],
            ),
            ("probe", "mlp", "unknown probe of random-cnn 'mlp'; known: linear", ["probes"]),
        ]
        for name in names
    ],
)
def test_unknown_names(refused, step, name, option, value, text):
    assert text in refused(*step(name, **{option: value}))


@pytest.mark.parametrize("name", JOBS)
def test_a_missing_configuration(refused, step, tmp_path, name):
    assert "nothing.yaml: there is no such file; make it first" in refused(
        *step(name, config=tmp_path / "nothing.yaml")
    )


@pytest.mark.parametrize("name", JOBS)
def test_a_wrong_configuration(refused, step, config, name):
    config.write_text(config.read_text().replace("plateau_factor:", "plato_factor:"))
    assert (
        "config.yaml: unknown key probe.plato_factor (did you mean plateau_factor?); allowed here: "
        in refused(*step(name))
    )


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("splits", "frames"),
        ("encoders", "frames"),
        ("encoders", "split"),
        ("probes", "frames"),
        ("probes", "split"),
        ("probes", "weights"),
        ("examples", "frames"),
        ("examples", "split"),
        ("examples", "weights"),
    ],
)
def test_missing_and_damaged_files(refused, step, tmp_path, name, option):
    path = tmp_path / "given"
    if option != "weights":
        encoders.save(tmp_path / "weights", encoders.build("nature", 256, torch.Generator()), {})
    assert "given: there is no such file; make it first" in refused(*step(name, **{option: path}))
    path.write_bytes(bytes(range(256)) * 4)
    assert "given is damaged" in refused(*step(name, **{option: path}))
    path.write_bytes(b"")
    assert "given is damaged" in refused(*step(name, **{option: path}))


def test_excluded_frames_that_are_missing(refused, step, tmp_path, collected):
    arguments = step(
        "splits", purpose="probe", frames=collected.frames("probe"), exclude=tmp_path / "nothing"
    )
    assert "nothing: there is no such file; make it first" in refused(*arguments)


def test_weights_with_one_flipped_bit(refused, step, tmp_path):
    path = tmp_path / "weights"
    header = {"encoder": "nature", "feature_size": 256, "game": "breakout", "method": "random-cnn"}
    encoders.save(path, encoders.build("nature", 256, torch.Generator()), header)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert (
        "weights is damaged (checksum or structure does not match): delete it and make it again"
        in refused(*step("probes"))
    )


def test_files_of_something_else(refused, step, collected):
    assert "not split: name the right file" in refused(
        *step("encoders", split=_weights(collected, "breakout"))
    )
    assert "holds breakout, not pong: name the right file" in refused(
        *step("encoders", game="pong")
    )
    assert "holds breakout, not pong: name the right file" in refused(*step("splits", game="pong"))
    assert "the split was made from other frames" in refused(
        *step("encoders", split=collected.split("probe"))
    )
    assert "not breakout" in refused(*step("probes", weights=_weights(collected, "pong")))
    assert "has method st-dim, not random-cnn" in refused(
        *step("probes", weights=_weights(collected, "breakout"))
    )
    assert "weights belongs to st-dim on breakout, not vae on breakout" in refused(
        *step("examples", weights=_weights(collected, "breakout"))
    )
    assert "weights belongs to st-dim on pong, not vae on breakout" in refused(
        *step("examples", weights=_weights(collected, "pong"))
    )
    assert "the split was made from other frames" in refused(
        *step("examples", split=collected.split("probe"))
    )
    # A supervised method learns from the probe's frames, and the others do not.
    probe = {"frames": collected.frames("probe"), "split": collected.split("probe")}
    assert "was made from pretrain frames; supervised needs probe frames" in refused(
        *step("encoders", method="supervised")
    )
    assert "was made from probe frames; st-dim needs pretrain frames" in refused(
        *step("encoders", **probe)
    )


@pytest.mark.parametrize(
    ("name", "method"), [("probes", "random-cnn"), ("probes", "st-dim"), ("examples", "vae")]
)
def test_weights_do_not_say_what_is_run(refused, step, tmp_path, name, method):
    """A stranger's file, whose header names a file of code: neither it nor its names are run."""
    code = tmp_path / "theirs.py"
    code.write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nfrom os import system\n")
    header = {"encoder": "custom", "module": str(code), "class": "system", "feature_size": 256}
    header |= {"kwargs": {"command": f"touch {tmp_path}/called"}, "module_seed": 0}
    header["module_sha256"] = hashlib.sha256(code.read_bytes()).hexdigest()
    header |= {"game": "breakout", "method": method}
    encoders.save(tmp_path / "weights", torch.nn.Linear(2, 3), header)
    said = refused(*step(name, method=method))
    assert "weights has encoder 'custom', but the configuration says 'nature': " in said


def _weights(collected, game):
    """An encoder that is said to be of ``game``, kept away from the directory that a refusal must
    leave alone.
    """
    path = collected.directory / f"{game}.weights"
    header = {"encoder": "nature", "feature_size": 256, "game": game, "method": "st-dim"}
    encoders.save(path, encoders.build("nature", 256, torch.Generator()), header)
    return path


@pytest.mark.parametrize("option", ["frames", "split"])
def test_a_method_that_learns_wants_frames(refused, step, option):
    assert "st-dim needs frames: name the files of its frames" in refused(
        *step("encoders", **{option: None})
    )


def test_a_probe_of_an_encoder_wants_weights(refused, step):
    assert (
        "random-cnn computes features from frames: name the file of its encoder's weights"
        in refused(*step("probes", weights=None))
    )


@pytest.mark.parametrize("inner", ["file/out", "file/more/out"])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("episodes", {}),
        ("splits", {}),
        ("encoders", {"method": "random-cnn", "frames": None, "split": None}),
        ("probes", {"method": "maj-clf", "probe": "majority", "weights": None}),
    ],
)
def test_an_output_that_cannot_be_written(refused, step, tmp_path, name, change, inner):
    (tmp_path / "file").write_text("in the way")
    outputs = {"out": tmp_path / inner} | (
        {"history": tmp_path / inner / "history"} if name == "encoders" else {}
    )
    assert ": a part of the path is a file, not a directory; move it away" in refused(
        *step(name, **change, **outputs)
    )


def test_a_run_s_directory_that_cannot_be_made(refused, config, tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = refused("configure", "--base", config, "--into", tmp_path / "file" / "run")
    assert ": a part of the path is a file, not a directory; move it away" in said


def test_configure(refused, config, tmp_path):
    asked = ["configure", "--base", config, "--into", tmp_path / "run"]
    said = refused(*asked, "--preset", "quik")
    known = "known: all-methods, beyond, control, demo, ppo, quick"
    assert f"unknown preset 'quik' (did you mean quick?); {known}" in said
    assert "games: unknown game 'pongg' (did you mean pong?)" in refused(
        *asked, "--games", "qbert pongg"
    )
    assert (
        CliRunner().invoke(cli, list(map(str, [*asked, "--games", "qbert, hero pong"]))).exit_code
        == 0
    )
    assert Config.load(tmp_path / "run" / "config.yaml").games == ["qbert", "hero", "pong"]


def test_examples_that_cannot_be_written(refused, step, untrained, tmp_path):
    untrained("vae")
    (tmp_path / "file").write_text("in the way")
    assert ": a part of the path is a file, not a directory" in refused(
        *step("examples", out=tmp_path / "file" / "out")
    )


@pytest.mark.parametrize("method", ["st-dim", "random-cnn", "maj-clf", "supervised"])
def test_a_method_without_a_decoder(refused, step, method):
    assert f"{method} has no decoder: choose a method that has one, such as vae" in refused(
        *step("examples", method=method)
    )


def test_an_encoder_of_one_s_own_that_is_wrong(refused, step, mine, tmp_path, capfd):
    made = step("encoders", method="mine", frames=None, split=None, out=tmp_path / "weights")
    assert CliRunner().invoke(cli, made, catch_exceptions=False).exit_code == 0
    for content, text in (
        (
            MINE.replace("160, 5", "161, 5"),
            "mine.py:Mine fails on float frames (2, 1, 210, 160): RuntimeError: ",
        ),
        (MINE.replace("scale):", "size):"), "mine.py:Mine(scale=2.0) cannot be made: TypeError: "),
        (
            MINE.replace("class Mine", "class Yours"),
            "mine.py:Mine(scale=2.0) cannot be made: AttributeError: ",
        ),
    ):
        mine.write_text(content)
        assert text in refused(*made)
        assert "mine.py has changed since " in refused(*step("probes", method="mine"))
    mine.unlink()
    assert (
        "methods.mine.module: there is no file mine.py; write its path relative to the run's "
        "directory" in refused(*step("splits"))
    )


def test_report_steps_without_their_files(refused, run_of, config, tmp_path):
    run_of()
    nothing = tmp_path / "nothing"
    written = options(config=config, scores=nothing, out=tmp_path / "made")
    missing = ": there is no such file; make it first"
    first = (
        "cannot read results/probes/random_agent/paper/maj-clf/majority/breakout-s0.json" + missing
    )
    assert first in refused("scores", "--out", tmp_path / "made")
    assert first in refused("scores", "--study", "ledger", "--out", tmp_path / "made")
    assert "nothing" + missing in refused("tables", *written, "--reference", ROOT / "reference")
    assert "nothing" + missing in refused("figures", *written)
    assert (
        f"cannot read results/encoders/random_agent/paper/random-cnn/breakout-s0.csv{missing}"
        in refused("curves", "--out", tmp_path / "made")
    )
    assert "nothing" + missing in refused("reconstructions", nothing, "--out", tmp_path / "made")
    assert "nothing" + missing in refused(
        "ledger", *options(scores=nothing, tables=tmp_path / "a", figures=tmp_path / "b")
    )
    assert "table2_f1_by_game.csv" in refused("show", tmp_path)


@pytest.mark.parametrize(
    "content", ["", "no table", "epoch,train_loss\n1,2\n", "epoch,train_loss,val_loss\n1,two,3\n"]
)
def test_report_steps_with_damaged_files(refused, run_of, config, tmp_path, content):
    of_run = run_of()
    damaged = tmp_path / "damaged"
    damaged.write_text(content)
    for file in (layout.PROBES.files(of_run)[0], layout.HISTORIES.files(of_run)[0]):
        Path(file).parent.mkdir(parents=True)
        Path(file).write_text(content)
    out = options(out=tmp_path / "made")
    assert "breakout-s0.json is damaged" in refused("scores", *out)
    assert "breakout-s0.json is damaged" in refused("scores", "--study", "ledger", *out)
    assert "breakout-s0.csv is damaged" in refused("curves", *out)
    assert "damaged is damaged" in refused(
        "tables", *options(scores=damaged, reference=ROOT / "reference"), *out
    )
    assert "damaged is damaged" in refused("figures", *options(scores=damaged), *out)
    assert "damaged is damaged" in refused("reconstructions", damaged, *out)
    assert "damaged is damaged" in refused(
        "ledger", *options(scores=damaged, tables=tmp_path / "a", figures=tmp_path / "b")
    )


def test_report_steps_with_wrong_files(refused, run_of, collected, tmp_path):
    of_run = run_of()
    split = collected.split("pretrain")
    assert "holds split, not examples: name the right file" in refused(
        "reconstructions", split, "--out", tmp_path / "made"
    )
    for game in ("pong", "qbert"):
        artifacts.write_arrays(
            collected.directory / f"{game}.examples", "examples", {}, {"game": game}
        )
    several = [collected.directory / f"{game}.examples" for game in ("qbert", "pong")]
    assert "the examples belong to several games (pong, qbert): name those of one" in refused(
        "reconstructions", *several, "--out", tmp_path / "made"
    )
    # Scores of the tables alone are none of the ledger's.
    for file in layout.PROBES.files(of_run):
        scored(file)
    assert (
        CliRunner().invoke(cli, ["scores", "--out", "scores.csv"], catch_exceptions=False).exit_code
        == 0
    )
    asked = options(scores=tmp_path / "scores.csv", tables=tmp_path / "a", figures=tmp_path / "b")
    assert (
        "run the missing probes, paper-q1/maj-clf/breakout/seed 0 (random_agent), paper-q2/"
        in refused("ledger", *asked)
    )


def test_a_run_without_a_ledger(refused, run_of, tmp_path):
    run_of(ledger=None)
    asked = options(scores=tmp_path / "nothing", tables=tmp_path / "a", figures=tmp_path / "b")
    assert "the configuration has no section ledger: copy that section from" in refused(
        "ledger", *asked
    )


@pytest.mark.parametrize("name", REPORTS)
def test_report_steps_without_a_configuration(refused, tmp_path, name):
    named = {
        "scores": tmp_path / "s",
        "reference": tmp_path / "r",
        "tables": tmp_path / "t",
        "figures": tmp_path / "f",
    }
    named |= {"game": "pong", "out": tmp_path / "out", "config": tmp_path / "nothing.yaml"}
    taken = {option.name for option in cli.commands[name].params}
    asked = options(**{key: value for key, value in named.items() if key in taken})
    assert "nothing.yaml: there is no such file; make it first" in refused(name, *asked)


def test_scores_of_no_ledger(refused, run_of, tmp_path):
    run_of(ledger=None)
    assert "has no section ledger" in refused(
        "scores", "--study", "ledger", "--out", tmp_path / "made"
    )


def test_a_method_without_an_encoder(refused, step):
    assert "maj-clf has no encoder" in refused(
        *step("encoders", method="maj-clf", frames=None, split=None)
    )


@pytest.mark.parametrize("change", [{"feature_size": 8}, {"frame_stack": 2}], ids=str)
def test_examples_of_another_encoder(refused, step, untrained, config, change):
    untrained("vae")
    content = yaml.safe_load(config.read_text())
    content["methods"]["vae"] |= change
    config.write_text(yaml.safe_dump(content))
    assert "make the encoder again" in refused(*step("examples"))


def test_a_split_of_the_ledger(step):
    assert (
        CliRunner()
        .invoke(cli, step("splits", protocol="paper-q4"), catch_exceptions=False)
        .exit_code
        == 0
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["episodes"],
        ["episodes", *options(**JOB, purpose="train", out="x")],
        ["episodes", *options(**JOB | {"seed": "-1"}, purpose="probe", out="x")],
        ["episodes", *options(**JOB | {"seed": "one"}, purpose="probe", out="x")],
        ["episodes", *options(**JOB, purpose="probe", out="x", workers=0)],
        [
            "probes",
            *options(**JOB, protocol="paper", method="maj-clf", frames="x", split="x", out="x"),
        ],
        [
            "examples",
            *options(**JOB, protocol="paper", method="vae", frames="x", split="x", out="x"),
        ],
        ["scores", "x", "--out", "x"],
        ["curves"],
        ["reconstructions", "--out", "x"],
        ["ledger", "--scores", "x"],
        ["audit", "--measured", "x", "--out", "x"],
        ["audit-summary", "--out", "x"],
    ],
)
def test_wrong_usage_is_click_s(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr and not result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "there is not enough memory on this machine: close other programs"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "on this machine"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "enough memory on the GPU"),
        (ImportError("libtorch.so: failed to map segment from shared object"), "enough memory on"),
        (OSError(errno.EMFILE, "x", "file"), "cannot go on: too many open files file; free some"),
        (OSError(errno.ENOSPC, "x"), "cannot go on: no space left on device; free some and run"),
    ],
)
def test_what_the_machine_is_short_of_is_one_line(monkeypatch, capsys, error, said):
    def short(**options):
        raise error

    monkeypatch.setattr(sys.modules[main.__module__], "cli", short)
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1 and said in told


def test_any_other_error_is_shown_whole(monkeypatch):
    def wrong(**options):
        raise ZeroDivisionError

    monkeypatch.setattr(sys.modules[main.__module__], "cli", wrong)
    with pytest.raises(ZeroDivisionError):
        main()


def test_a_figure_on_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.pdf: the disk is full; free some"):
        style.save(Figure(), tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_a_job_ends_with_the_snakemake_that_started_it(tmp_path, host):
    """A killed Snakemake leaves no job behind; one on another machine is not looked for here."""
    starter = subprocess.Popen(["sleep", "600"])
    name = platform.node() if host == "here" else "another-machine"
    # So many frames that the job cannot have ended by itself.
    more = PACKAGED.read_text().replace("pretrain: 100000", "pretrain: 1000000")
    assert more != PACKAGED.read_text()
    (tmp_path / "config.yaml").write_text(more)
    asked = ["--game", "pong", "--policy", "random_agent", "--purpose", "pretrain", "--seed", "0"]
    job = subprocess.Popen(
        [sys.executable, "-m", "workflow_src", "episodes", *asked, "--quiet", "--out", "x/y"],
        cwd=tmp_path,
        env=os.environ | {"WORKFLOW_SRC_STARTED_BY": f"{name}:{starter.pid}"},
    )
    try:
        while not (tmp_path / "x").exists():
            assert job.poll() is None
            time.sleep(0.05)
        starter.kill()
        starter.wait()
        if host == "elsewhere":
            with pytest.raises(subprocess.TimeoutExpired):
                job.wait(3)
        else:
            assert job.wait(40) != 0
            assert not (tmp_path / "x" / "y").exists()
    finally:
        job.kill()
        job.wait()
