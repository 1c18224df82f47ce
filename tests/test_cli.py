"""The command line: help is quick, and what a person gets wrong is one line, exit code 2 and no file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

from workflow_src import encoders
from workflow_src.cli import cli, main
from workflow_src.config import Config

ROOT = Path(__file__).parents[1]
STEPS = ["configure", "episodes", "splits", "encoders", "probes", "scores", "tables", "figures", "show"]
JOBS = ["episodes", "splits", "encoders", "probes"]
JOB = {"game": "breakout", "policy": "random_agent", "seed": "0"}


def run(*arguments, **environment):
    command = [sys.executable, "-m", "workflow_src", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | environment)


def options(**named):
    return [part for name, value in named.items() for part in (f"--{name}", str(value))]


def tree(directory):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(directory.rglob("*"))}


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
    path.write_text(yaml.safe_dump(collected.config.model_dump()))
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
    probe_of = {"protocol": "paper", "method": "random-cnn", **probe, "weights": tmp_path / "weights"}
    steps = {"episodes": {"purpose": "pretrain"}, "splits": split_of, "encoders": encoder_of, "probes": probe_of}

    def arguments(name, **change):
        named = {"config": config, **JOB, **steps[name], "out": out} | change
        return [name, *options(**{key: value for key, value in named.items() if value is not None})]

    return arguments


# Help


def test_help_lists_the_steps_in_the_way_of_the_data():
    result = CliRunner().invoke(cli, ["--help"], terminal_width=200)
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.output.partition("Commands:")[2].splitlines() if line.strip()]
    assert sorted(listed) == sorted(STEPS) == sorted(cli.commands)


@pytest.mark.parametrize("name", STEPS)
def test_help_of_a_step(name):
    for option in ("--help", "-h"):
        result = CliRunner().invoke(cli, [name, option])
        assert result.exit_code == 0
        assert result.output.startswith(f"Usage: cli {name} ")
        assert cli.commands[name].help in result.output.replace("\n  ", " ")


def test_every_option_has_a_help():
    for command in cli.commands.values():
        assert all(option.help for option in command.params if option.param_type_name == "option"), command.name


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from workflow_src.cli import cli\n"
        "for arguments in [['--help'], *([name, '--help'] for name in cli.commands)]:\n"
        "    cli(arguments, standalone_mode=False)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "click" in packages
    assert not packages & {"torch", "numpy", "pandas", "pydantic", "gymnasium", "ale_py", "matplotlib", "blosc2", "cv2"}


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
        step("probes", method="maj-clf", weights=None),
    ):
        assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
        assert out.stat().st_size
        out.unlink()
    assert history.read_text() == "epoch\n"
    assert [path.name for path in out.parent.iterdir()] == ["history.csv"]


def test_a_seed_and_a_config_are_what_the_options_say(step, tmp_path):
    made = {}
    for seed in (0, 1):
        arguments = step("encoders", method="random-cnn", frames=None, split=None, seed=seed, out=tmp_path / f"w{seed}")
        CliRunner().invoke(cli, arguments, catch_exceptions=False)
        encoder, header = encoders.load(tmp_path / f"w{seed}")
        assert (header["seed"], header["method"], header["game"]) == (seed, "random-cnn", "breakout")
        made[seed] = next(encoder.parameters())
    assert not torch.equal(made[0], made[1])


# Refusals


def test_a_real_process_says_one_line_and_ends_with_2(step, tmp_path):
    before = tree(tmp_path)
    done = run(*step("encoders", game="breakoutt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: unknown game 'breakoutt' (did you mean breakout?); known: asteroids, ")
    assert tree(tmp_path) == before


def test_cuda_is_refused_by_a_process_that_sees_none(step, config, tmp_path):
    config.write_text(config.read_text().replace("device: cpu", "device: cuda"))
    before = tree(tmp_path)
    done = run(*step("encoders"), CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: device: cuda, but this machine has no usable CUDA device; set device: auto or")
    assert done.stderr.count("\n") == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "option", "value", "text"),
    [
        (name, option, value, text)
        for option, value, text, names in [
            ("game", "breakou", "unknown game 'breakou' (did you mean breakout?); known: asteroids", JOBS),
            ("game", "skiing", "unknown game 'skiing'", JOBS),
            ("policy", "ppo", "unknown policy 'ppo'; known: random_agent", JOBS),
            ("protocol", "papr", "unknown protocol 'papr' (did you mean paper?); known: ", JOBS[1:]),
            ("method", "st-din", "unknown method 'st-din' (did you mean st-dim?); known: ", JOBS[2:]),
        ]
        for name in names
    ],
)
def test_unknown_names(refused, step, name, option, value, text):
    assert text in refused(*step(name, **{option: value}))


@pytest.mark.parametrize("name", JOBS)
def test_a_missing_configuration(refused, step, tmp_path, name):
    assert "nothing.yaml: there is no such file; make it first" in refused(*step(name, config=tmp_path / "nothing.yaml"))


@pytest.mark.parametrize("name", JOBS)
def test_a_wrong_configuration(refused, step, config, name):
    config.write_text(config.read_text().replace("plateau_factor:", "plato_factor:"))
    assert "config.yaml: unknown key probe.plato_factor (did you mean plateau_factor?); allowed here: " in refused(*step(name))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("splits", "frames"),
        ("encoders", "frames"),
        ("encoders", "split"),
        ("probes", "frames"),
        ("probes", "split"),
        ("probes", "weights"),
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
    arguments = step("splits", purpose="probe", frames=collected.frames("probe"), exclude=tmp_path / "nothing")
    assert "nothing: there is no such file; make it first" in refused(*arguments)


def test_weights_with_one_flipped_bit(refused, step, tmp_path):
    path = tmp_path / "weights"
    header = {"encoder": "nature", "feature_size": 256, "game": "breakout"}
    encoders.save(path, encoders.build("nature", 256, torch.Generator()), header)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "weights is damaged (checksum or structure does not match): delete it and make it again" in refused(*step("probes"))


def test_files_of_something_else(refused, step, collected):
    assert "not split: name the right file" in refused(*step("encoders", split=_weights(collected, "breakout")))
    assert "holds breakout, not pong: name the right file" in refused(*step("encoders", game="pong"))
    assert "holds breakout, not pong: name the right file" in refused(*step("splits", game="pong"))
    assert "the split was made of other frames" in refused(*step("encoders", split=collected.split("probe")))
    assert "not breakout" in refused(*step("probes", weights=_weights(collected, "pong")))


def _weights(collected, game):
    """An encoder that is said to be of ``game``, kept away from the directory that a refusal must leave alone."""
    path = collected.directory / f"{game}.weights"
    header = {"encoder": "nature", "feature_size": 256, "game": game}
    encoders.save(path, encoders.build("nature", 256, torch.Generator()), header)
    return path


@pytest.mark.parametrize("option", ["frames", "split"])
def test_a_method_that_learns_wants_frames(refused, step, option):
    assert "st-dim learns from frames: name the files of its frames" in refused(*step("encoders", **{option: None}))


def test_a_probe_of_an_encoder_wants_weights(refused, step):
    assert "random-cnn reads features out of frames: name the file of its encoder's weights" in refused(
        *step("probes", weights=None)
    )


@pytest.mark.parametrize("inner", ["file/out", "file/more/out"])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("episodes", {}),
        ("splits", {}),
        ("encoders", {"method": "random-cnn", "frames": None, "split": None}),
        ("probes", {"method": "maj-clf", "weights": None}),
    ],
)
def test_an_output_that_cannot_be_written(refused, step, tmp_path, name, change, inner):
    (tmp_path / "file").write_text("in the way")
    outputs = {"out": tmp_path / inner} | ({"history": tmp_path / inner / "history"} if name == "encoders" else {})
    assert ": a part of the path is a file, not a directory; move it away" in refused(*step(name, **change, **outputs))


def test_a_run_s_directory_that_cannot_be_made(refused, config, tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = refused("configure", "--base", config, "--into", tmp_path / "file" / "run")
    assert ": a part of the path is a file, not a directory; move it away" in said


def test_configure(refused, config, tmp_path):
    asked = ["configure", "--base", config, "--into", tmp_path / "run"]
    assert "unknown preset 'quick'; known: none" in refused(*asked, "--preset", "quick")
    assert "games: unknown game 'pongg' (did you mean pong?)" in refused(*asked, "--games", "qbert pongg")
    assert CliRunner().invoke(cli, list(map(str, [*asked, "--games", "qbert, hero pong"]))).exit_code == 0
    assert Config.load(tmp_path / "run" / "config.yaml").games == ["qbert", "hero", "pong"]


def test_report_steps_without_their_files(refused, config, tmp_path):
    nothing = tmp_path / "nothing"
    written = options(config=config, scores=nothing, out=tmp_path / "made")
    assert "there is no such file; make it first" in refused("scores", nothing, "--out", tmp_path / "made")
    assert "there is no such file; make it first" in refused("tables", *written, "--reference", ROOT / "reference")
    assert "there is no such file; make it first" in refused("figures", *written)
    assert "table2_f1_by_game.csv" in refused("show", tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["episodes"],
        ["episodes", *options(**JOB, purpose="train", out="x")],
        ["episodes", *options(**JOB | {"seed": "-1"}, purpose="probe", out="x")],
        ["episodes", *options(**JOB | {"seed": "one"}, purpose="probe", out="x")],
        ["episodes", *options(**JOB, purpose="probe", out="x", workers=0)],
    ],
)
def test_wrong_usage_is_click_s(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr and not result.stdout
    assert not list(tmp_path.iterdir())
