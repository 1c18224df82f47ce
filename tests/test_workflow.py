"""The real workflow on real games at a tiny scale: Snakemake, all rules, nothing faked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
TINY = {
    "games": ["boxing", "mspacman"],
    "protocols": {"corrected": None},
    "episodes": {"frames": {"pretrain": 1500, "probe": 3000}, "streams": 2},
    "training": {"epochs": 2, "batch_size": 16},
    "probe": {"epochs": 3},
}


def configure(directory: Path, change: dict, base: Path = ROOT / "config.yaml") -> None:
    """Write the configuration of a run as a person would: a preset beside the base."""
    presets = directory / "given" / "presets"
    presets.mkdir(parents=True, exist_ok=True)
    shutil.copy(base, presets.parent / "config.yaml")
    (presets / "mine.yaml").write_text(yaml.safe_dump(change))
    command = [sys.executable, "-m", "workflow_src", "configure", "--preset", "mine"]
    subprocess.run([*command, "--base", presets.parent / "config.yaml", "--into", directory], check=True)


def snakemake(directory: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*SNAKEMAKE, "--directory", str(directory), *arguments], capture_output=True, text=True, cwd=ROOT)


def jobs(directory: Path) -> dict[str, int]:
    """{rule: jobs} that a dry run would do."""
    run = snakemake(directory, "-n", "--quiet", "rules")
    assert run.returncode == 0, run.stderr
    lines = [line.split() for line in (run.stdout + run.stderr).splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit() and line[0] not in ("all", "total")}


def merged(change: dict, further: dict) -> dict:
    from workflow_src.config import merge

    return merge(change, further)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A whole tiny run."""
    directory = tmp_path_factory.mktemp("run")
    configure(directory, TINY)
    run = snakemake(directory)
    assert run.returncode == 0, run.stdout + run.stderr
    return directory


def test_makes_everything(finished):
    files = {str(f.relative_to(finished / "results")) for f in (finished / "results").rglob("*") if f.is_file()}
    assert len([f for f in files if f.endswith(".b2nd")]) == 4
    assert len([f for f in files if f.startswith("splits/")]) == 4
    assert len([f for f in files if f.startswith("encoders/")]) == 8  # two games, two methods, weights and history
    assert len([f for f in files if f.startswith("probes/")]) == 6
    for name in (
        "scores.csv",
        "tables/table2_f1_by_game.tex",
        "tables/table1_variables_by_category.csv",
        "figures/f1_by_game.pdf",
    ):
        assert name in files
    assert not [f for f in files if Path(f).name.startswith(".")], "temporary files are left"
    assert not list((finished / "checkpoints").rglob("*.pt"))


def test_nothing_to_do_after_a_finished_run(finished):
    run = snakemake(finished, "-n")
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr


def test_show_prints_ours_and_the_papers(finished):
    run = subprocess.run([sys.executable, "-m", "workflow_src", "show", finished], capture_output=True, text=True)
    assert run.returncode == 0 and "boxing" in run.stdout and "(0.58)" in run.stdout  # the paper's ST-DIM on Boxing


def test_a_touched_file_makes_nothing_stale(finished):
    (finished / "results/episodes/random_agent/probe/boxing-s0.b2nd").touch()
    assert jobs(finished) == {}


def copy(finished: Path, to: Path, change: dict) -> Path:
    """The finished run with another configuration; the copy keeps Snakemake's metadata and modification times."""
    shutil.copytree(finished, to)
    configure(to, merged(TINY, change))
    return to


REPORT = {"scores": 1, "tables": 1, "figures": 1}


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"methods": {"st-dim": {"lr": 1.0e-3}}}, {"encoders": 2, "probes": 2, **REPORT}),
        ({"probe": {"epochs": 4}}, {"probes": 6, **REPORT}),
        ({"episodes": {"frames": {"probe": 3100}}}, {"episodes": 2, "splits": 2, "probes": 6, **REPORT}),
        ({"splits": {"min_entropy": 0.7}}, {"splits": 2, "probes": 6, **REPORT}),
        ({"games": ["boxing"]}, REPORT),
        ({"games": ["boxing", "mspacman", "pong"]}, {"episodes": 2, "splits": 2, "encoders": 2, "probes": 3, **REPORT}),
        ({"methods": {"untrained": {"kind": "random-cnn"}}}, {"encoders": 2, "probes": 2, **REPORT}),
        ({"device": "cpu"}, {"encoders": 4, "probes": 6, **REPORT}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_changed_setting_reruns_only_what_it_alters(finished, tmp_path, change, expected):
    assert jobs(copy(finished, tmp_path / "run", change)) == expected


def test_a_changed_setting_rerun_for_real(finished, tmp_path):
    directory = copy(finished, tmp_path / "run", {"methods": {"st-dim": {"lr": 1.0e-3}}})
    before = {f: f.read_bytes() for f in (directory / "results").rglob("*") if f.is_file()}
    assert snakemake(directory).returncode == 0
    changed = {str(f.relative_to(directory / "results")) for f in before if f.read_bytes() != before[f]}
    touched = ("encoders/random_agent/paper/st-dim/", "probes/random_agent/paper/st-dim/", "scores.csv", "tables/", "figures/")
    assert changed and all(f.startswith(touched) for f in changed), changed
    assert any(f.endswith(".safetensors") for f in changed)
    assert jobs(directory) == {}


def test_a_changed_module_reruns_what_is_made_of_it(finished, tmp_path):
    """On a copy of the sources, so that the repository is left alone."""
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "results", "logs", "checkpoints", "__pycache__"))
    directory = source / "runs" / "tiny"
    configure(directory, {**TINY, "games": ["boxing"]})
    environment = os.environ | {"PYTHONPATH": str(source)}

    def snakemake_here(*arguments: str) -> str:
        command = [SNAKEMAKE[0], "--directory", str(directory), "--cores", "2", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, cwd=source, env=environment)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    # Stand-ins for the artifacts: only the plan is looked at, and --touch records them as made.
    shutil.copytree(finished / "results", directory / "results")
    snakemake_here("--touch", "--forceall")
    assert "Nothing to be done" in snakemake_here("-n")
    for module, rules in {
        "report/figures.py": {"figures"},
        "methods/st_dim.py": {"encoders", "probes", "scores", "tables", "figures"},
        "splits/duplicates.py": {"splits", "encoders", "probes", "scores", "tables", "figures"},
    }.items():
        file = source / "workflow_src" / module
        original = file.read_text()
        file.write_text(original + "\n# edited\n")
        plan = snakemake_here("-n", "--quiet", "rules").splitlines()
        assert {line.split()[0] for line in plan if len(line.split()) == 2 and line.split()[1].isdigit()} - {
            "all",
            "total",
        } == rules
        file.write_text(original)


def test_a_lost_file_is_made_again(finished, tmp_path):
    directory = copy(finished, tmp_path / "run", {})
    lost = directory / "results/encoders/random_agent/paper/random-cnn/boxing-s0.safetensors"
    content = lost.read_bytes()
    lost.unlink()
    assert jobs(directory)["encoders"] == 1
    assert snakemake(directory).returncode == 0
    assert lost.read_bytes() == content


def test_lint_is_clean():
    run = snakemake(ROOT, "--lint")
    remarks = [line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip().startswith("*")]
    # Everything runs in the one pinned environment; an environment a rule would pin the same versions ten times.
    assert not [line for line in remarks if "conda environment or container" not in line], run.stdout + run.stderr


@pytest.mark.parametrize(
    "change, words",
    [
        ({"probe": {"epoch": 3}}, ["probe.epoch", "did you mean epochs?"]),
        ({"games": ["pon"]}, ["unknown game 'pon'", "did you mean pong?"]),
        ({"training": {"lr": "3e-4"}}, ["training.lr", "is text, not a number"]),
        ({"methods": {"st-dim": {"kind": "stdim"}}}, ["methods.st-dim.kind", "did you mean st-dim?"]),
    ],
)
def test_a_bad_configuration_is_one_line_before_any_job(tmp_path, change, words):
    content = merged(yaml.safe_load((ROOT / "config.yaml").read_text()), change)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    run = snakemake(tmp_path)
    lines = [line for line in run.stderr.splitlines() if "profile" not in line]
    assert run.returncode == 2
    assert len(lines) == 1 and lines[0].startswith("error: config.yaml: "), run.stderr
    assert all(word in lines[0] for word in words)
    assert not (tmp_path / "results").exists()


def test_overrides_are_refused(tmp_path):
    configure(tmp_path, TINY)
    run = snakemake(tmp_path, "--config", "label_set=revised-2020")
    assert run.returncode == 2 and "configure" in run.stderr


def test_a_failing_job_leaves_no_output(tmp_path):
    """Too few frames to split: one line in the log, the rest of the run goes on, nothing that looks finished."""
    configure(tmp_path, merged(TINY, {"games": ["pong"], "episodes": {"frames": {"probe": 300}}}))
    run = snakemake(tmp_path)
    assert run.returncode != 0
    log = (tmp_path / "logs/splits/random_agent/paper/probe/pong-s0.log").read_text()
    assert "collect" in log and "frames or more" in log and "Traceback" not in log
    assert not (tmp_path / "results/splits/random_agent/paper/probe/pong-s0.safetensors").exists()
    assert (tmp_path / "results/encoders/random_agent/paper/random-cnn/pong-s0.safetensors").exists()
