"""All that the configuration can ask for, in real tiny runs: every method, an own encoder, seeds,
probes, the ledger.
"""

import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from workflow import KEPT, OTHERS, ROOT, ROWS, SMALL, configure, jobs, run, snakemake

pytestmark = pytest.mark.slow

MODULE = """
from torch import nn


class Mine(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.layers = nn.Sequential(nn.AvgPool2d(10), nn.Flatten(), nn.Linear(21 * 16, size))

    def forward(self, frames):
        return self.layers(frames)
"""


@pytest.fixture(scope="module")
def everything(source, tmp_path_factory) -> Path:
    """Every method once, and an encoder whose file is outside of the repository."""
    module = tmp_path_factory.mktemp("elsewhere") / "mine.py"
    module.write_text(MODULE)
    directory = source / "runs" / "everything"
    change = SMALL | {
        "games": ["spaceinvaders"],
        "protocols": {"corrected": None},
        "training": {"epochs": 1, "batch_size": 16, "threads": 1},
        "probe": {"epochs": 2, "threads": 1},
        "methods": {
            "cpc": {"batch_size": 4, "options": {"sequence_length": 9}},
            "mine": {"kind": "custom", "module": f"{module}:Mine", "kwargs": {"size": 24}},
        },
        "ledger": None,
        "scaling": None,
    }
    configure(source, directory, change)
    done = snakemake(source, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_every_method_is_in_the_tables(everything):
    table = pd.read_csv(everything / "results/tables/table2_f1_by_game.csv").set_index("game")
    for method in [*KEPT, *OTHERS, "mine"]:
        assert 0 < table.loc["mean", method] < 1, method
    probes = pd.read_csv(everything / "results/tables/f1_by_probe.csv").set_index("method")["probe"]
    assert probes["vae"] == probes["mine"] == "linear"
    assert (
        probes["supervised"] == probes["supervised-shared"] == "supervised"
        and probes["maj-clf"] == "majority"
    )


def test_losses_fall_in_the_first_epoch(everything):
    """Of every method that learns: the epoch's mean is below the untrained model's."""
    histories = {
        file.parent.name: pd.read_csv(file)
        for file in (everything / "results/encoders").rglob("*.csv")
    }
    learned = {name for name in OTHERS if ROWS[name]["kind"] != "conditioned"}
    assert {method for method, rows in histories.items() if len(rows)} == {"st-dim", *learned}
    for method, rows in histories.items():
        assert not len(rows) or rows["train_loss"].iloc[-1] < rows["train_loss"].iloc[0], method


def test_reconstructions_and_curves_are_drawn(everything):
    for name in ("reconstructions/spaceinvaders.png", "learning_curves.pdf"):
        assert (everything / "results/figures" / name).stat().st_size > 5000, name


def test_the_file_of_an_own_encoder_is_watched(source, everything):
    config = yaml.safe_load((everything / "config.yaml").read_text())
    file = Path(config["methods"]["mine"]["module"].partition(":")[0])
    file.write_text(MODULE + "\n")
    try:
        shown = ("scores", "tables", "variables", "figures", "agreement")
        shown += ("curves", "curves_of_game", "readings", "report")
        assert jobs(source, everything) == dict.fromkeys(("encoders", "probes", *shown), 1)
    finally:
        file.write_text(MODULE)
    assert jobs(source, everything) == {}
    file.rename(file.with_suffix(".txt"))
    done = snakemake(source, everything, "-n")
    assert done.returncode == 2 and "methods.mine.module: there is no file" in done.stderr
    file.with_suffix(".txt").rename(file)


@pytest.fixture(scope="module")
def compared(source) -> Path:
    """Two protocols that differ in two quirks, two seeds, and both studies as parts of the run."""
    directory = source / "runs" / "compared"
    paper = yaml.safe_load((ROOT / "config.yaml").read_text())["protocols"]["paper"]
    change = SMALL | {
        "games": ["spaceinvaders"],
        "seeds": [0, 1],
        "protocols": {
            "corrected": {
                "splits": paper["splits"] | {"remove_pretrain_duplicates": True},  # Q11
                "methods": paper["methods"],
                "probes": paper["probes"],
            }
        },
        "methods": dict.fromkeys([*(name for name in OTHERS if name != "dim"), "st-dim"]),
        "probe": {"epochs": 2, "threads": 1},
        "ledger": {"methods": ["random-cnn"]},
        "scaling": {"percent": [50], "methods": ["dim"]},
        "studies": ["ledger", "scaling"],
    }
    configure(source, directory, change)
    done = snakemake(source, directory, "tables", "ledger", "scaling")
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_intervals_of_two_seeds(compared):
    iqm = pd.read_csv(compared / "results/tables/iqm.csv")
    assert list(iqm["protocol"]) == ["paper"] * 3 + ["corrected"] * 3
    assert (
        (iqm["low"] <= iqm["iqm"]).all()
        and (iqm["iqm"] <= iqm["high"]).all()
        and (iqm["low"] < iqm["high"]).any()
    )
    table = pd.read_csv(compared / "results/tables/table2_f1_by_game.csv")
    assert (table["random-cnn_std"] > 0).all()


def test_ledger_differs_by_one_quirk_at_a_time(compared):
    ledger = pd.read_csv(compared / "results/tables/ledger.csv")
    assert list(ledger["quirk"].unique()) == ["Q2", "Q11"]
    assert (ledger["variant"] - ledger["base"] - ledger["difference"]).abs().max() < 2e-6
    assert (ledger.loc[ledger["quirk"] == "Q2", "difference"] != 0).any()
    # Q11 is no matter of training: the base's encoder is probed. Q2 plays otherwise.
    assert not (compared / "results/encoders/random_agent/paper-q11").exists()
    assert (compared / "results/episodes/random_agent-noop/probe/spaceinvaders-s0.b2nd").exists()
    assert (compared / "results/figures/ledger.png").stat().st_size > 5000


def test_scaling_learns_from_fewer_frames(compared):
    scaling = pd.read_csv(compared / "results/tables/scaling.csv").query("game == 'mean'")
    assert list(scaling["frames"]) == [750, 1500]
    assert scaling["f1"].nunique() == 2
    assert (compared / "results/figures/scaling.png").stat().st_size > 5000
    learned = {
        name: pd.read_csv(
            compared / f"results/encoders/random_agent/{name}/dim/spaceinvaders-s0.csv"
        )
        for name in ("paper", "paper-p50")
    }
    assert (learned["paper"]["train_loss"] != learned["paper-p50"]["train_loss"]).all()


def test_dvc_knows_the_studies_of_the_run(source, compared):
    """Every job is of one stage, whose settings are keys of config.yaml."""
    done = run(source, sys.executable, "-m", "workflow_src", "stages", "--run", compared)
    assert done.returncode == 0, done.stderr
    stages = yaml.safe_load((compared / "dvc.yaml").read_text())["stages"]
    assert {
        "encoders--random_agent--paper-p50--dim",
        "splits--random_agent--paper-q2--probe",
        "ledger",
        "scaling",
    } <= set(stages)
    config = yaml.safe_load((compared / "config.yaml").read_text())
    asked = {
        key
        for stage in stages.values()
        for params in stage.get("params", [])
        for key in params.get("config.yaml", [])
    }
    assert asked
    for key in asked:
        value = config
        for part in key.split("."):
            value = value[part]
    # An output is a path, or a mapping of one path to its options (cache: false).
    outs = [
        out if isinstance(out, str) else next(iter(out))
        for stage in stages.values()
        for out in stage.get("outs", [])
    ]
    assert len(set(outs)) == len(outs)
    # Whatever a stage reads of the run is of another stage, and every stage's command is one that
    # Snakemake takes.
    read = {dep for stage in stages.values() for dep in stage["deps"] if dep.startswith("results/")}
    assert read and read <= set(outs)
    for name in ("ledger_scores", "scaling_scores", "probes--random_agent--paper-p50--dim--linear"):
        command = stages[name]["cmd"].replace("snakemake ", "snakemake --cores 1 -n ", 1)
        done = run(source, "bash", "-c", f"cd {compared} && {command}")
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_lost_file_of_a_study_is_made_again(source, compared):
    for lost, rule in (
        ("encoders/random_agent/paper-p50/dim/spaceinvaders-s0.safetensors", "encoders"),
        ("probes/random_agent/paper-q11/random-cnn/linear/spaceinvaders-s0.json", "probes"),
        ("scaling.csv", "scaling_scores"),
    ):
        file = compared / "results" / lost
        file.rename(compared / "kept")
        try:
            assert rule in jobs(source, compared), lost
        finally:
            (compared / "kept").rename(file)
