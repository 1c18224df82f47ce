"""The bridge: Snakemake makes, DVC remembers, and neither has to do again what the other did. Real
runs, tiny ones.
"""

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from configs import PAPER
from dvc.repo import Repo
from workflow import PARTS, ROOT, run, snakemake
from workflow import jobs as planned_jobs

from workflow_src import provenance
from workflow_src.ari.labels import LABEL_SETS
from workflow_src.cli.main import main
from workflow_src.config.reading import merge
from workflow_src.config.run import Config
from workflow_src.versioning import graph, stages, verify

pytestmark = pytest.mark.slow

SMALLEST = {
    "games": ["spaceinvaders"],
    "episodes": {"frames": {"pretrain": 400, "probe": 1200}, "num_envs": 2},
    "training": {"epochs": 1, "batch_size": 64, "precision": "float32", "threads": 1},
    "probe": {"epochs": 1, "threads": 1},
    "protocols": {"corrected": None, "paper": {"probes": {"lr": 1.0e-2}}},
    "ledger": None,
    "scaling": None,
    "device": "cpu",
}
METHODS = {
    "maj-clf": {"kind": "majority"},
    "dim": {"kind": "dim", "feature_size": 32, "lr": 5.0e-4},
}
OWN = "random_agent/paper"
EPISODES, SPLITS = "results/episodes/random_agent", f"results/splits/{OWN}"
ENCODER, PROBE = f"results/encoders/{OWN}/dim", f"results/probes/{OWN}/dim/linear"
MAJORITY = f"results/probes/{OWN}/maj-clf/majority"
OF_DIM = {"encoders--random_agent--paper--dim", "probes--random_agent--paper--dim--linear"}
VARIABLES, CURVES = "results/tables/table4_f1_by_variable", "results/figures/learning_curves"
READINGS = "results/figures/readings"
REPORT = {"curves", "scores", "figures", "tables", "agreement", "report"}
GIT = [
    "git",
    "-c",
    "user.name=tests",
    "-c",
    "user.email=tests@localhost",
    "-c",
    "commit.gpgsign=false",
]


def settings(directory, change):
    """Change the configuration of a run, as a person would by hand."""
    file = directory / "config.yaml"
    file.write_text(
        yaml.safe_dump(merge(yaml.safe_load(file.read_text()), change), sort_keys=False)
    )


def bridge(directory, *command):
    return run(directory, sys.executable, "-m", "workflow_src", *command)


def dvc(directory, *command):
    return run(directory, Path(sys.executable).with_name("dvc"), *command)


def git(directory, *command):
    done = run(directory, *GIT, *command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def locked(directory):
    return yaml.safe_load((directory / "dvc.lock").read_text())["stages"]


def contents(directory):
    return {
        str(f.relative_to(directory)): f.read_bytes() for f in directory.rglob("*") if f.is_file()
    }


def md5(file):
    return hashlib.md5(file.read_bytes()).hexdigest()


def nothing_to_do(directory):
    done = snakemake(directory, directory, "-n")
    return done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory):
    """DVC's notes beside the tests; and what Snakemake's API leaves in this process is taken away
    again.
    """
    before = dict(os.environ)
    os.environ |= {
        "DVC_SITE_CACHE_DIR": str(tmp_path_factory.mktemp("site")),
        "DVC_NO_ANALYTICS": "1",
    }
    yield
    os.environ.clear()
    os.environ |= before


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    """A clone of the repository in which Snakemake has made a tiny run, all of it; committed, and
    pushed to ``remote``.
    """
    directory = tmp_path_factory.mktemp("bridge") / "made"
    shutil.copytree(
        source,
        directory,
        ignore=lambda folder, names: {*names} - {*PARTS} if Path(folder) == source else (),
    )
    (directory / ".dvc").mkdir()
    for file in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / file, directory / file)
    others = dict.fromkeys(yaml.safe_load((directory / "config.yaml").read_text())["methods"])
    settings(directory, SMALLEST | {"methods": others | METHODS})
    git(directory, "init", "--quiet", "--initial-branch", "main")
    done = snakemake(directory, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert dvc(directory, "push").returncode == 0
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "A")
    return directory


@pytest.fixture
def copy(made, tmp_path):
    """The tiny run to change: Snakemake's notes and modification times are as in the original."""
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


@pytest.fixture
def refused(monkeypatch, capfd):
    """Run a command in this process that must refuse, and change nothing but the tools' own notes:
    its one line.
    """

    def state(directory):
        notes = (".snakemake/", ".dvc/tmp/")
        return {
            file: content
            for file, content in contents(directory).items()
            if not file.startswith(notes)
        }

    def call(directory, *command):
        before = state(directory)
        monkeypatch.setattr(
            sys, "argv", ["workflow_src", *map(str, command), "--run", str(directory)]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert ended.value.code == 2
        assert out == "" and err.startswith("error: ") and err.count("\n") == 1, out + err
        assert state(directory) == before
        return err

    return call


# The two graphs


def of_dvc(directory):
    """{stage: outputs, dependencies, parameters and command}, as DVC reads dvc.yaml."""
    with contextlib.chdir(directory), Repo(".") as repo:
        return {
            stage.name: SimpleNamespace(
                outs={out.def_path for out in stage.outs},
                deps={dep.def_path for dep in stage.deps if not hasattr(dep, "params")},
                params={
                    (dep.def_path, name)
                    for dep in stage.deps
                    if hasattr(dep, "params")
                    for name in dep.params
                },
                command=stage.cmd.split(),
            )
            for stage in repo.index.stages
        }


def differences(found, jobs):
    """What DVC's stages say otherwise than Snakemake's jobs: {stage: its parts}."""
    roots = {out: name for name, stage in found.items() for out in stage.outs}

    def root(file):
        return max(
            (out for out in roots if f"{file}/".startswith(f"{out}/")), key=len, default=file
        )

    seen = {
        name: SimpleNamespace(outs=set(), deps=set(), params=set(), rules=set()) for name in found
    }
    wrong = {}
    for job in jobs:
        for file in job.outputs:
            if root(file) not in roots:
                wrong.setdefault(file, []).append("of no stage")
                continue
            stage = seen[roots[root(file)]]
            stage.outs.add(root(file))
            stage.deps |= {root(input) for input in job.inputs}
            shape = ["games", "seeds"] if root(file) != file else []
            stage.params |= {("config.yaml", name) for name in (*job.settings, *shape)}
            named = (name for name, _ in job.code)
            stage.params |= {
                ("code.yaml", name.rpartition(".")[0] if name.startswith("labels.") else name)
                for name in named
            }
            stage.rules.add(job.rule)
    for name, stage in found.items():
        if name == provenance.STAGE:
            continue
        for part in ("outs", "deps", "params"):
            if getattr(stage, part) != getattr(seen[name], part):
                wrong.setdefault(name, []).append(part)
        target = stage.command[-1]
        targets = stage.command[stage.command.index("--allowed-rules") + 1 : -2]
        if {*targets} != seen[name].rules | {target} or target not in stage.outs | seen[name].rules:
            wrong.setdefault(name, []).append("command")
    return wrong


def planned(directory, change):
    """A run that is only planned, here and on these sources: its dvc.yaml is written, and its jobs
    come back.
    """
    if not (directory / "config.yaml").exists():
        shutil.copy(ROOT / "config.yaml", directory)
    settings(directory, change)
    config, jobs = Config.load(directory / "config.yaml"), graph.jobs(directory)
    stages.write(directory, config, stages.stages(config, jobs))
    with contextlib.chdir(directory):
        Repo.init(no_scm=True).close()
    return jobs


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Of several games, both protocols, and methods of every sort."""
    directory = tmp_path_factory.mktemp("plan")
    names = yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
    few = dict.fromkeys(
        name for name in names if name not in ("maj-clf", "random-cnn", "vae", "supervised")
    )
    return directory, planned(
        directory,
        {"games": ["pong", "spaceinvaders"], "methods": few, "ledger": None, "scaling": None},
    )


def test_the_papers_graph_is_the_same_to_both_tools():
    found, jobs = of_dvc(ROOT), graph.jobs(ROOT)
    assert len(jobs) > 1000 and len(found) > 50
    assert differences(found, jobs) == {}
    config = Config.load(ROOT / "config.yaml")
    stages.check(ROOT, config, stages.stages(config, jobs))  # it is what is committed
    stages.check_code(ROOT, stages.stages(config, jobs))
    sources = [*(ROOT / "rules").glob("*.smk"), *(ROOT / "workflow_src").rglob("*.py")]
    sources = {str(file.relative_to(ROOT)) for file in sources if file.stat().st_size}
    sources |= {str(file.relative_to(ROOT)) for file in (ROOT / "workflow_src/ari").glob("*.csv")}
    assert found[provenance.STAGE].deps == {"config.yaml", "Snakefile", *sources}
    others = [stage for name, stage in found.items() if name != provenance.STAGE]
    assert all(any(file == "code.yaml" for file, _ in stage.params) for stage in others)
    assert not any(dep.endswith(".py") for stage in others for dep in stage.deps)
    before = set()
    for name in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]:
        assert {dep for dep in found[name].deps if dep.startswith("results/")} <= before, (
            f"{name} stands before what it reads"
        )
        before |= found[name].outs


def test_a_smaller_graph_is_the_same_to_both_tools(plan):
    directory, jobs = plan
    assert {job.rule for job in jobs} >= {"examples", "reconstructions", "curves"}
    assert differences(of_dvc(directory), jobs) == {}


@pytest.mark.parametrize(
    "file, old, new",
    [
        ("dvc.yaml", "--quiet rules", "--quiet all"),
        ("dvc.yaml", f"    - {EPISODES}/probe\n", ""),
        ("dvc.yaml", "      - training.lr\n", ""),
        ("dvc.yaml", "      - encoders.vae\n", "      - encoders.vae\n      - splits\n"),
        ("dvc.yaml", "    - results/metrics.json\n", ""),
        ("dvc.yaml", "", "stages:"),
        ("code.yaml", '"splits": "', '"splits": "0'),
    ],
)
def test_an_edited_stage_is_refused_in_one_line(plan, refused, tmp_path_factory, file, old, new):
    directory, jobs = plan
    copy = shutil.copytree(directory, tmp_path_factory.mktemp("edited"), dirs_exist_ok=True)
    config = Config.load(copy / "config.yaml")
    found = stages.stages(config, jobs)
    stages.check(copy, config, found)
    stages.check_code(copy, found)
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1) if old else new)
    for command in (["stages", "--check"], ["adopt"]):
        said = refused(copy, *command)
        assert f"{file} does not match" in said and "python -m workflow_src stages" in said


# Flow 1: Snakemake first


def test_a_run_is_recorded_at_its_end(made):
    """By itself: `made` called Snakemake and nothing else."""
    assert [*locked(made)] == [*yaml.safe_load((made / "dvc.yaml").read_text())["stages"]]
    files = {
        str(file.relative_to(made)): md5(file)
        for file in (made / "results").rglob("*")
        if file.is_file()
    }
    listed = dict(line.split(",") for line in (made / "recorded.csv").read_text().splitlines()[1:])
    assert listed == files
    assert "up to date" in dvc(made, "status").stdout
    done = dvc(made, "repro")
    assert done.returncode == 0 and "Running" not in done.stdout
    assert bridge(made, "record").stdout == "dvc.lock: 22 of 22 stages recorded, 0 of them now\n"
    assert git(made, "status", "--porcelain") == "", (
        "not a byte of dvc.yaml, dvc.lock and recorded.csv has changed"
    )


def test_what_is_recorded_and_not_here_is_said(copy):
    """As in a clone before anything is brought; what was recorded with another setting is not
    called recorded.
    """
    for folder in ("results", ".dvc/cache", ".snakemake"):
        shutil.rmtree(copy / folder)
    head, *lines = bridge(copy, "record").stdout.splitlines()
    assert head == "dvc.lock: 22 of 22 stages recorded, 0 of them now"
    assert (
        len(lines) == 1
        and "recorded, but not here" in lines[0]
        and "episodes (2)" in lines[0]
        and "not made" not in lines[0]
    )
    assert git(copy, "status", "--porcelain") == ""
    settings(copy, {"methods": {"dim": {"lr": 1.0e-3}}})
    head, first, *_ = bridge(copy, "record").stdout.splitlines()
    assert head.startswith(
        "dvc.lock: 14 of 22 "
    )  # curves, figures, tables and report name their methods
    assert first.startswith(f"  {ENCODER}: ") and "is missing" in first


def test_a_run_of_its_own_leaves_the_papers_alone(copy):
    """As `make run` and `make record RUN=runs/quick` do: before it is begun nothing is noted; a
    part is a normal state.
    """
    quick = copy / "runs/quick"
    quick.mkdir(parents=True)
    shutil.copy(copy / "config.yaml", quick)
    assert snakemake(copy, quick, f"{EPISODES}/probe").returncode == 0
    assert {file.name for file in quick.iterdir()} == {
        "config.yaml",
        "results",
        "logs",
        ".snakemake",
    }
    done = bridge(copy, "record", "--run", "runs/quick")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "dvc.lock: 1 of 22 stages recorded, 1 of them now",
        "  not made yet: episodes (1), splits (2), encoders (1), probes (2), audit (5), scores "
        "(1), "
        "tables (2), figures (3), curves (1), audit_summary (1), agreement (1), report (1)",
    ]
    assert (
        locked(quick)["episodes--random_agent--probe"]["outs"]
        == locked(copy)["episodes--random_agent--probe"]["outs"]
    )
    assert git(copy, "status", "--porcelain") == ""


# What is not recorded


def test_a_failed_run_records_what_is_whole_and_names_the_rest(copy):
    """Too few frames to split, what was made of them is stale, and a file that no rule makes lies
    beside the encoder.

    Curves are whole, but drawn from the encoder's folder: they are not recorded as made of one with
    a stray file in it.
    """
    before = locked(copy)
    settings(copy, {"episodes": {"frames": {"probe": 300}}})
    stray = copy / ENCODER / "pong-s0.csv"
    stray.write_text("")
    done = snakemake(copy, copy)
    assert done.returncode != 0
    head, *lines = done.stdout[done.stdout.index("dvc.lock: ") :].splitlines()
    said = dict(line.strip().split(": ", 1) for line in lines)
    report = {CURVES, VARIABLES, READINGS, "tables", "curves", "agreement", "report"}
    assert said.keys() == {f"{SPLITS}/probe", ENCODER, MAJORITY, PROBE, *report}, done.stdout
    assert "spaceinvaders-s0.safetensors is missing" in said[f"{SPLITS}/probe"]
    assert "pong-s0.csv is of no rule" in said[ENCODER]
    assert all("is to be made again" in said[target] for target in (MAJORITY, PROBE, "tables"))
    assert head == "dvc.lock: 11 of 22 stages recorded, 7 of them now"
    after = locked(copy)
    audit = {f"audit--{part}" for part in ("measured", *LABEL_SETS, "frames")} | {"audit_summary"}
    assert {name for name in before if before[name] != after[name]} == {
        provenance.STAGE,
        "episodes--random_agent--probe",
        *audit,
    }


def test_a_killed_job_is_not_recorded(copy):
    """What a job that was killed may leave, in a place that its command does not write to in one
    go.
    """
    before = (copy / "dvc.lock").read_bytes()
    log = copy / "logs/curves.log"
    for file in (
        curves := [copy / f"results/figures/learning_curves.{kind}" for kind in ("pdf", "png")]
    ) + [log]:
        file.unlink()
    command = [Path(sys.executable).with_name("snakemake"), "--cores", "1"]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True, **output)
    while not log.exists() and running.poll() is None:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    for file in curves:
        file.write_bytes(b"half")
    assert bridge(copy, "record").stdout.splitlines() == [
        "dvc.lock: 20 of 22 stages recorded, 0 of them now",
        "  curves: results/figures/learning_curves.pdf is half-made: run Snakemake, then record "
        "again",
        "  report: results/report.html is to be made again: run Snakemake, then record again",
    ]
    assert (copy / "dvc.lock").read_bytes() == before


# Flow 2: DVC first


@pytest.fixture(scope="module")
def repro(made, tmp_path_factory):
    """A clone in which `dvc repro` makes all from nothing (A), scores by another setting of one
    method (B), and A again.
    """
    directory = tmp_path_factory.mktemp("repro")
    git(made, "clone", "--quiet", made, directory)

    def call(*targets):
        jobs = {file: file.stat().st_mtime_ns for file in (directory / "logs").rglob("*.log")}
        done = dvc(directory, "repro", *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        after = {file: file.stat().st_mtime_ns for file in (directory / "logs").rglob("*.log")}
        return SimpleNamespace(
            stages=set(re.findall(r"Running stage '(\S+)'", done.stdout)),
            jobs={
                file.relative_to(directory / "logs").parts[0]
                for file in after
                if after[file] != jobs.get(file)
            },
            lock=(directory / "dvc.lock").read_bytes(),
            results=contents(directory / "results"),
        )

    for file in ("dvc.lock", "recorded.csv"):
        (directory / file).unlink()
    nothing = call()
    nothing.agreed = (
        nothing_to_do(directory),
        bridge(directory, "record").stdout,
        git(directory, "status", "--porcelain"),
    )
    settings(directory, {"methods": {"dim": {"lr": 1.0e-3}}})
    changed = call("scores")
    changed.status = json.loads(dvc(directory, "status", "--json").stdout)
    git(directory, "commit", "--quiet", "--all", "--message", "B")
    b = shutil.copytree(directory, tmp_path_factory.mktemp("b"), symlinks=True, dirs_exist_ok=True)
    git(directory, "checkout", "--quiet", "HEAD~1", "config.yaml")
    return SimpleNamespace(a=directory, b=b, nothing=nothing, changed=changed, back=call())


def test_dvc_makes_the_same_bytes_and_the_same_lock(made, repro):
    assert repro.nothing.stages == {*locked(made)}
    assert repro.nothing.lock == (made / "dvc.lock").read_bytes()
    assert repro.nothing.results == contents(made / "results")
    assert repro.nothing.agreed == (True, "dvc.lock: 22 of 22 stages recorded, 0 of them now\n", "")


def test_a_changed_method_makes_its_own_stages_again(repro):
    assert repro.changed.stages - {provenance.STAGE} == OF_DIM | {"scores"}
    of_games = {"figures--learning_curves", "figures--readings", "tables--table4_f1_by_variable"}
    assert repro.changed.status.keys() == REPORT - {"scores"} | of_games
    before, after = repro.nothing.results, repro.changed.results
    assert {file for file in after if after[file] != before[file]} >= {
        f"{ENCODER}/spaceinvaders-s0.safetensors".removeprefix("results/"),
        f"{PROBE}/spaceinvaders-s0.json".removeprefix("results/"),
        "metrics.json",
    }


def test_the_old_setting_is_restored_and_not_computed(repro):
    assert (repro.back.stages, repro.back.jobs) == ({provenance.STAGE}, set())
    assert (repro.back.lock, repro.back.results) == (repro.nothing.lock, repro.nothing.results)


def test_what_another_wrote_is_not_recorded(repro, tmp_path):
    """Files of A, restored by DVC, under notes of Snakemake's that are B's: B's settings would be
    recorded with A's files.
    """
    shutil.copytree(repro.a, copy := tmp_path / "copy", symlinks=True)
    before = locked(copy)
    git(copy, "checkout", "--quiet", "HEAD", "config.yaml")
    planned = dict.fromkeys(
        ["curves", "curves_of_game", "figures", "tables", "variables", "agreement", "report"], 1
    )
    assert planned_jobs(copy, copy) == planned, "Snakemake does not see it"
    head, *lines = bridge(copy, "record").stdout.splitlines()
    assert head == "dvc.lock: 14 of 22 stages recorded, 0 of them now"
    said = dict(line.strip().split(": ", 1) for line in lines)
    shown = {CURVES, VARIABLES, "curves", "figures", "tables", "agreement", "report"}
    assert said.keys() == {ENCODER, *shown}
    assert "is not as its job left it" in said[ENCODER]
    after = locked(copy)
    assert {name for name in before if before[name] != after[name]} == {provenance.STAGE}


def test_an_older_revision_is_adopted(made, repro, tmp_path):
    shutil.copytree(repro.b, copy := tmp_path / "copy", symlinks=True)
    git(copy, "checkout", "--quiet", "HEAD~1")
    done = bridge(copy, "adopt")
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(copy / "results") == contents(made / "results")
    assert nothing_to_do(copy) and git(copy, "status", "--porcelain") == ""


# Flow 3: somebody else


@pytest.fixture
def clone(made, tmp_path):
    """Somebody else's, with the remote that we pushed to."""

    def clone(remote=made / "remote"):
        directory = tmp_path / "clone"
        git(made, "clone", "--quiet", made, directory)
        (directory / ".dvc/config.local").write_text(f"['remote \"local\"']\n    url = {remote}\n")
        return directory

    return clone


def test_a_clone_adopts_all_that_is_recorded(made, clone):
    directory = clone()
    done = bridge(directory, "adopt")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "adopted 22 of 22 recorded stages: Snakemake has nothing to do for them\n"
    assert contents(directory / "results") == contents(made / "results")
    assert "up to date" in dvc(directory, "status").stdout
    assert nothing_to_do(directory)
    assert (
        bridge(directory, "record").stdout == "dvc.lock: 22 of 22 stages recorded, 0 of them now\n"
    )
    assert git(directory, "status", "--porcelain") == ""
    settings(directory, {"methods": {"dim": {"lr": 1.0e-3}}})
    assert planned_jobs(directory, directory)["encoders"] == 1, (
        "Snakemake knows what they were made of"
    )


def test_what_is_wrong_is_named_and_not_blessed(made, clone, tmp_path):
    """All at once: an edited file, a stray one, an object missing in the remote, one damaged there,
    one in the cache.
    """
    split, edited = (
        f"{SPLITS}/pretrain/spaceinvaders-s0.safetensors",
        f"{PROBE}/spaceinvaders-s0.json",
    )
    curve, figure, stray = (
        "results/figures/learning_curves.png",
        "results/figures/iqm.png",
        f"{MAJORITY}/old.json",
    )
    objects = {
        file: f"files/md5/{md5(made / file)[:2]}/{md5(made / file)[2:]}"
        for file in (curve, figure, split)
    }
    shutil.copytree(made / "remote", remote := tmp_path / "remote")
    directory = clone(remote)
    (remote / objects[split]).unlink()
    for file in (damaged := (remote / objects[curve], directory / ".dvc/cache" / objects[figure])):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_bytes(b"damaged")
        file.chmod(0o444)  # as DVC leaves them
    for file in (edited, stray):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / file).write_text("{}")
    done = bridge(directory, "adopt")
    assert (done.returncode, done.stderr) == (2, "")
    head, *lines = done.stdout.splitlines()
    assert head == "adopted 9 of 22 recorded stages: Snakemake has nothing to do for them"
    said = dict(line.strip().split(": ", 1) for line in lines)
    assert f"{edited} was edited or damaged" in said[PROBE]
    assert stray in said[MAJORITY] and "not of dvc.lock" in said[MAJORITY]
    assert f"{curve} is damaged in the remote" in said["curves"] and damaged[0].exists(), (
        "it is for its owner to put right"
    )
    assert [
        f"{SPLITS}/pretrain" in why for target, why in said.items() if "missing here" in target
    ] == [True]
    assert "is damaged in the remote" in said[CURVES], (
        "of one game, its curves are those of all: the same object"
    )
    for target in (ENCODER, VARIABLES, "scores", "figures", "tables", "report"):
        assert said[target] == "right, but made of what was not adopted"
    assert md5(directory / figure) == md5(made / figure) == md5(damaged[1]), (
        "the cache's comes whole from the remote"
    )
    assert (directory / edited).read_bytes() == (directory / stray).read_bytes() == b"{}", (
        "neither is overwritten"
    )
    assert planned_jobs(directory, directory) == {
        **{"splits": 1, "encoders": 1, "probes": 2, "variables": 1, "curves_of_game": 1},
        **dict.fromkeys([*REPORT, "readings"], 1),
    }


# The certificate


def test_the_same_is_certified_without_a_download(copy):
    for folder in (".dvc/cache", "results", "remote", ".snakemake"):
        shutil.rmtree(copy / folder)
    done = bridge(copy, "verify", "--games", "spaceinvaders", "--steps", "episodes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "made 2 files again: 2 the same as in dvc.lock, 0 not\n"
    assert not (copy / "verify").exists() and git(copy, "status", "--porcelain") == ""


def test_what_differs_is_named_first_along_the_way(copy):
    policy = copy / "workflow_src/episodes/policies/random.py"
    policy.write_text(policy.read_text().replace("self._drawn.pop()", "self._drawn.pop(0)"))
    done = bridge(copy, "verify", "--steps", "splits")
    assert (done.returncode, done.stderr) == (1, "")
    head, *lines, end = done.stdout.splitlines()
    assert head == "made 4 files again: 0 the same as in dvc.lock, 4 not"
    left = Path(end.removeprefix("  what was made is left in "))
    assert [re.findall(r"differs: (\S+) \((one of its inputs|first)", line) for line in lines] == [
        [(f"{EPISODES}/pretrain/spaceinvaders-s0.b2nd", "first")],
        [(f"{EPISODES}/probe/spaceinvaders-s0.b2nd", "first")],
        [(f"{SPLITS}/pretrain/spaceinvaders-s0.safetensors", "one of its inputs")],
        [(f"{SPLITS}/probe/spaceinvaders-s0.safetensors", "one of its inputs")],
    ]
    assert md5(copy / left / f"{EPISODES}/probe/spaceinvaders-s0.b2nd") in lines[1]


# Growing


def test_a_new_method_costs_only_its_own_jobs(copy):
    before, listed = (copy / "dvc.lock").read_bytes(), (copy / "recorded.csv").read_bytes()
    settings(copy, {"methods": {"chance": {"kind": "majority"}}})
    done = snakemake(copy, copy, MAJORITY.replace("maj-clf", "chance"))
    head, *lines = done.stdout.splitlines()
    assert head == "dvc.lock: 14 of 23 stages recorded, 1 of them now"
    assert {line.split(": ")[0].strip() for line in lines} == {CURVES, VARIABLES, READINGS, *REPORT}
    assert [name for name in locked(copy) if "chance" in name] == [
        "probes--random_agent--paper--chance--majority"
    ]
    git(copy, "checkout", "--quiet", "config.yaml")
    assert bridge(copy, "record").stdout == "dvc.lock: 22 of 22 stages recorded, 0 of them now\n"
    assert (copy / "dvc.lock").read_bytes() == before, "a method that is taken out leaves"
    assert (copy / "recorded.csv").read_bytes() == listed


def test_a_new_game_costs_only_its_own_jobs(copy):
    before, old = locked(copy), (copy / EPISODES / "probe/spaceinvaders-s0.b2nd").stat().st_mtime_ns
    settings(copy, {"games": ["spaceinvaders", "pong"]})
    head, *lines = snakemake(copy, copy, f"{EPISODES}/probe").stdout.splitlines()
    assert head == "dvc.lock: 2 of 22 stages recorded, 1 of them now"
    assert sum("pong-s0" in line and "is missing" in line for line in lines) == 6
    after = locked(copy)
    assert {name for name in after if before[name] != after[name]} == {
        provenance.STAGE,
        "episodes--random_agent--probe",
    }
    assert after["episodes--random_agent--probe"]["outs"][0]["nfiles"] == 2
    assert (copy / EPISODES / "probe/spaceinvaders-s0.b2nd").stat().st_mtime_ns == old


# Bad input


@pytest.fixture(scope="module")
def in_git(made, tmp_path_factory):
    """What git has of the tiny run, as planned on these sources."""
    directory = tmp_path_factory.mktemp("git")
    for name in ("config.yaml", "dvc.lock", "recorded.csv"):
        shutil.copy(made / name, directory)
    planned(directory, {})
    return directory


@pytest.fixture
def small(in_git, tmp_path_factory):
    """Its copy beside it, so that paths of sources stay the same."""
    return Path(shutil.copytree(in_git, tmp_path_factory.mktemp("small"), dirs_exist_ok=True))


@pytest.mark.parametrize(
    "damage, why",
    [
        (
            lambda text: text.replace("stages:\n", "<<<<<<< HEAD\nstages:\n"),
            "conflict marker in line 2",
        ),
        (lambda text: "", "damaged"),
        (lambda text: text[: text.index("    outs:") + 7], "damaged"),
        (lambda text: text[: text.index("\n", text.index("    outs:") + 10)], "damaged"),
        (lambda text: text[: text.index(".dir") - 9], "damaged"),
    ],
    ids=["marker", "empty", "in a key", "before a hash", "in a hash"],
)
def test_a_damaged_lock_is_one_line(small, refused, damage, why):
    file = small / "dvc.lock"
    file.write_text(damage(file.read_text()))
    for command in ("record", "adopt", "verify"):
        said = refused(small, command)
        assert all(word in said for word in (str(file), "git checkout", why)), said


@pytest.mark.parametrize(
    "options, words",
    [
        (["--games", "pong"], ["unknown game 'pong'", "spaceinvaders"]),
        (["--steps", "splitz"], ["unknown step 'splitz'", "did you mean splits?"]),
        (["--steps", "probes"], ["step probes is not recorded", "recorded are episodes, splits"]),
        (
            ["--steps", "scores", "--games", "spaceinvaders"],
            ["step scores covers all games at once"],
        ),
    ],
)
def test_what_cannot_be_verified_is_refused(small, refused, options, words):
    file = small / "dvc.lock"
    content = yaml.safe_load(file.read_text())
    content["stages"] = {
        name: entry for name, entry in content["stages"].items() if not name.startswith("probes")
    }
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    said = refused(small, "verify", *options)
    assert all(word in said for word in words), said


def test_other_settings_than_recorded_are_not_made_again(small, refused):
    content = yaml.safe_load((small / "config.yaml").read_text())
    content["splits"]["min_entropy"] = 0.5
    (small / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    said = refused(small, "verify", "--steps", "splits")
    assert "recorded with splits.min_entropy: 0.6, config.yaml has 0.5" in said


def test_a_game_that_is_not_recorded_is_not_certified(small, refused):
    content = yaml.safe_load((small / "config.yaml").read_text())
    content["games"].append("pong")
    (small / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    assert "step episodes of pong is not recorded" in refused(
        small, "verify", "--steps", "episodes", "--games", "spaceinvaders pong"
    )


def test_an_edit_while_recording_is_not_recorded(copy):
    (copy / "dvc.lock").unlink()
    later = time.time() + 60
    os.utime(copy / "config.yaml", (later, later))
    done = bridge(copy, "record")
    assert done.returncode == 2 and "config.yaml was changed while it was recorded" in done.stderr
    assert not (copy / "dvc.lock").exists()


def test_what_was_recorded_of_other_settings_is_not_brought(clone, made):
    """Without notes of its own Snakemake would take it for today's."""
    directory = clone(made / "remote")
    settings(directory, {"episodes": {"noop_max": 20}})
    done = bridge(directory, "adopt")
    assert (
        done.returncode == 2
        and "recorded of other settings or code (episodes.noop_max)" in done.stdout
    )
    assert not (directory / "results").exists() or not [
        *(directory / "results/episodes").rglob("*.b2nd")
    ]
    assert planned_jobs(directory, directory)["episodes"] == 2


def test_a_run_behind_a_link(small, tmp_path):
    (tmp_path / "link").symlink_to(small)
    before = (small / "dvc.yaml").read_text()
    assert bridge(tmp_path / "link", "stages", "--check").returncode == 0
    assert (
        bridge(tmp_path / "link", "stages").returncode == 0
        and (small / "dvc.yaml").read_text() == before
    )


def test_without_git_the_mend_is_named(small, refused):
    shutil.copy(ROOT / ".dvc/config", small / ".dvc")
    assert "is not in a git repository" in refused(small, "record")


def other_hashes(file):
    file.write_text(re.sub("(b2nd,)(.+)", lambda row: row[1] + row[2][::-1], file.read_text()))


@pytest.mark.parametrize("edit", [Path.unlink, other_hashes])
def test_a_listing_that_is_not_of_the_lock_counts_for_nothing(small, refused, edit):
    edit(small / "recorded.csv")
    said = refused(small, "verify")
    assert (
        "recorded.csv does not list the files of" in said
        and "episodes--random_agent--pretrain" in said
    )


# Numbers and curves


def test_metrics_and_plots(made, tmp_path):
    metrics = json.loads((made / "results/metrics.json").read_text())
    shown = json.loads(dvc(made, "metrics", "show", "--json").stdout)[""]["data"][
        "results/metrics.json"
    ]["data"]
    assert (
        shown == metrics
        and 0 < shown["random_agent"]["paper"]["dim"]["linear"]["spaceinvaders"] < 1
    )
    assert dvc(made, "plots", "show", "--out", tmp_path).returncode == 0
    page = (tmp_path / "index.html").read_text()
    losses = [
        row["val_loss"] for row in csv.DictReader((made / ENCODER / "spaceinvaders-s0.csv").open())
    ]
    assert len(losses) == 2 and all(f'"val_loss": "{loss}"' in page for loss in losses)


def test_metrics_tell_what_a_change_did(repro):
    done = dvc(repro.b, "metrics", "diff", "HEAD~1", "--json")
    differ = json.loads(done.stdout)["results/metrics.json"]
    assert differ.keys() == {
        f"random_agent.paper.dim.linear.{name}" for name in ("spaceinvaders", "mean")
    }
    assert all(row["diff"] for row in differ.values())


def test_a_run_with_studies_can_be_made_again_elsewhere(tmp_path):
    """The studies stay, without the methods whose files are not the same seen from elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "mine.py").touch()
    mine = {"kind": "custom", "module": "../mine.py:Mine"}
    change = {"methods": {"mine": mine}, "studies": ["ledger", "scaling"]}
    change["ledger"] = {"methods": ["mine"]}
    content = merge(PAPER, change)
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(content))
    verify._configure(tmp_path / "run", tmp_path / "elsewhere", ["pong"], [])
    config = Config.load(tmp_path / "elsewhere" / "config.yaml")
    assert config.studies == ["scaling"] and config.ledger is None and "mine" not in config.methods
    assert config.scaling.methods == content["scaling"]["methods"]
