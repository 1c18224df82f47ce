"""The real workflow on real games at a tiny scale: Snakemake, all rules, nothing faked."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from workflow import ROOT, TINY, also, configure, jobs, run, snakemake

from workflow_src.ari.annotations import LABEL_SETS
from workflow_src.config.reading import merge

pytestmark = pytest.mark.slow


def test_makes_everything(finished):
    files = {
        str(f.relative_to(finished / "results"))
        for f in (finished / "results").rglob("*")
        if f.is_file()
    }
    assert len([f for f in files if f.endswith(".b2nd")]) == 4
    assert len([f for f in files if f.startswith("splits/")]) == 4
    assert (
        len([f for f in files if f.startswith("encoders/")]) == 8
    )  # two games, two methods, weights and history
    assert len([f for f in files if f.startswith("probes/")]) == 12  # scores and predictions
    for name in (
        "scores.csv",
        "tables/table2_f1_by_game.tex",
        "tables/table1_variables_by_category.csv",
        "tables/iqm.csv",
        "tables/table4_f1_by_variable/mspacman.csv",
        "tables/audit.csv",
        "audit/revised-2020/mspacman.png",
        "audit/frames/spaceinvaders.gif",
        "figures/f1_by_game.pdf",
        "figures/learning_curves.png",
        "report.html",
    ):
        assert name in files
    assert not [f for f in files if Path(f).name.startswith(".")], "temporary files are left"
    assert not list((finished / "checkpoints").rglob("*.pt"))


def test_nothing_to_do_after_a_finished_run(source, finished):
    done = snakemake(source, finished, "-n")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_show_prints_ours_and_the_papers(source, finished):
    done = run(source, sys.executable, "-m", "workflow_src", "show", finished)
    assert (
        done.returncode == 0 and "spaceinvaders" in done.stdout and "(0.57)" in done.stdout
    )  # the paper's ST-DIM


def test_a_touched_file_makes_nothing_stale(source, finished):
    (finished / "results/episodes/random_agent/probe/mspacman-s0.b2nd").touch()
    assert jobs(source, finished) == {}


@pytest.fixture
def changed(source, finished, tmp_path_factory):
    """Makes copies of the finished run with another configuration, beside it, so that paths of
    sources stay the same.
    """
    made = []

    def copy(change: dict) -> Path:
        made.append(finished.with_name(tmp_path_factory.mktemp("copy").name))
        shutil.copytree(finished, made[-1])  # Snakemake's metadata and modification times too
        configure(source, made[-1], also(TINY, change))
        return made[-1]

    yield copy
    for directory in made:
        shutil.rmtree(directory)


PAGE = {"report": 1}
REPORT = {"scores": 1, "tables": 1, "variables": 2, "figures": 1, "agreement": 1, **PAGE}
READINGS = {"readings": 2}
CURVES = {"curves": 1, "curves_of_game": 2, **PAGE}
AUDIT = {
    "audit_measured": 2,
    "audit": 2 * len(LABEL_SETS),
    "audit_frames": 2,
    "audit_summary": 1,
    **PAGE,
}


@pytest.mark.parametrize(
    "change, expected",
    [
        (
            {"methods": {"st-dim": {"lr": 1.0e-3}}},
            {"encoders": 2, "probes": 2, **REPORT, **READINGS, **CURVES},
        ),
        (
            {"methods": {"st-dim": {"frame_stack": 2}}},
            {"encoders": 2, "probes": 2, **REPORT, **READINGS, **CURVES},
        ),
        (
            {"probe": {"epochs": 4}},
            {"probes": 4, **REPORT, **READINGS},
        ),  # the majority learns nothing
        ({"probe": {"options": {"mlp": {"hidden": 9}}}}, {}),  # there is no mlp
        ({"probe": {"kinds": ["linear", "observed"]}}, {"probes": 4, **REPORT}),
        (
            {"episodes": {"frames": {"probe": 3100}}},
            {"episodes": 2, "splits": 2, "probes": 6, **REPORT, **READINGS, **AUDIT},
        ),
        ({"splits": {"min_entropy": 0.7}}, {"splits": 2, "probes": 6, **REPORT, **READINGS}),
        ({"games": ["mspacman"]}, {**REPORT, "variables": 1, "curves": 1, "audit_summary": 1}),
        (
            {"games": ["spaceinvaders", "mspacman", "pong"]},
            {
                **{
                    "episodes": 2,
                    "splits": 2,
                    "encoders": 2,
                    "probes": 3,
                    **REPORT,
                    "variables": 3,
                    "readings": 1,
                    "curves": 1,
                },
                **{
                    "curves_of_game": 1,
                    "audit_measured": 1,
                    "audit": len(LABEL_SETS),
                    "audit_frames": 1,
                    "audit_summary": 1,
                },
            },
        ),
        (
            {"methods": {"untrained": {"kind": "random-cnn"}}},
            {"encoders": 2, "probes": 2, **REPORT, **READINGS, **CURVES},
        ),
        ({"device": "cpu"}, {"encoders": 2, "probes": 6, **REPORT, **READINGS, **CURVES}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_changed_setting_reruns_only_what_it_alters(source, changed, change, expected):
    assert jobs(source, changed(change)) == expected


def test_a_changed_setting_rerun_for_real(source, changed):
    directory = changed({"methods": {"st-dim": {"lr": 1.0e-3}}})
    before = {f: f.read_bytes() for f in (directory / "results").rglob("*") if f.is_file()}
    assert snakemake(source, directory).returncode == 0
    differ = {
        str(f.relative_to(directory / "results")) for f in before if f.read_bytes() != before[f]
    }
    touched = (
        "encoders/random_agent/paper/st-dim/",
        "probes/random_agent/paper/st-dim/",
        "scores.csv",
        "metrics.json",
        "tables/",
        "figures/",
        "report.html",
    )
    assert differ and all(f.startswith(touched) for f in differ), differ
    assert any(f.endswith(".safetensors") for f in differ)
    assert jobs(source, directory) == {}


def test_what_does_not_concern_a_method_leaves_it(source, changed):
    own = {"methods": {"st-dim": {"eps": 1.0e-6}}}
    directory = changed(own)
    assert jobs(source, directory)["encoders"] == 2
    configure(source, directory, also(TINY, also(own, {"training": {"eps": 1.0e-7}})))
    assert jobs(source, directory)["encoders"] == 2, "the row's own eps counts, not the section's"
    configure(source, directory, also(TINY, {"training": {"eps": 1.0e-5}}))
    assert jobs(source, directory) == {}


@pytest.mark.parametrize(
    "module, edit, rules",
    [
        ("report/figures/f1_by_game.py", "line", {"figures", "report"}),
        ("report/figures/learning_curves.py", "line", CURVES.keys()),
        ("report/page/templates/report.css", "line", {"report"}),
        ("methods/st_dim.py", "line", {"encoders", "probes", "readings", *REPORT, *CURVES}),
        ("methods/vae.py", "line", set()),
        ("encoders/architectures/impala.py", "line", set()),
        (
            "splits/duplicates.py",
            "line",
            {"splits", "encoders", "probes", "readings", *REPORT, *CURVES},
        ),
        # A section's own steps and what is made from their files; the report reads every section.
        (
            "config/splits.py",
            "line",
            {"splits", "encoders", "probes", "readings", *REPORT, *CURVES},
        ),
        ("config/run.py", "line", {*REPORT, *CURVES, "readings"}),
        ("audit/verdict.py", "line", {"audit", "audit_summary", "report"}),
        ("cli/steps.py", "line", set()),
        ("errors.py", "comment", set()),
        ("config/run.py", "comment", set()),
        ("splits/split.py", "docstring", set()),
    ],
)
def test_a_changed_module_reruns_what_uses_it(source, finished, module, edit, rules):
    file = source / "workflow_src" / module
    original = file.read_text()
    added = {"line": "\n" if file.suffix == ".css" else "\nCHANGED = 1\n", "comment": "\n# Why.\n"}
    try:
        file.write_text(added[edit].join([original, ""]) if edit in added else "\n" + original)
        if edit == "docstring":
            file.write_text(original.replace('"""', '"""In other words: ', 1))
        assert set(jobs(source, finished)) == set(rules)
    finally:
        file.write_text(original)
    assert jobs(source, finished) == {}, "content decides, not the time of a change"


def test_a_lost_file_is_made_again(source, changed):
    directory = changed({})
    lost = directory / "results/encoders/random_agent/paper/random-cnn/mspacman-s0.safetensors"
    content = lost.read_bytes()
    lost.unlink()
    assert jobs(source, directory)["encoders"] == 1
    assert snakemake(source, directory).returncode == 0
    assert lost.read_bytes() == content


def test_lint_is_clean(source):
    done = snakemake(source, source, "--lint")
    assert done.returncode == 0 and "good condition" in done.stdout + done.stderr, (
        done.stdout + done.stderr
    )


@pytest.mark.parametrize(
    "change, words",
    [
        ({"probe": {"epoch": 3}}, ["probe.epoch", "did you mean epochs?"]),
        ({"games": ["pon"]}, ["unknown game 'pon'", "did you mean pong?"]),
        ({"training": {"lr": "3e-4"}}, ["training.lr", "is text, not a number"]),
        (
            {"methods": {"st-dim": {"kind": "stdim"}}},
            ["methods.st-dim.kind", "did you mean st-dim?"],
        ),
    ],
)
def test_a_bad_configuration_is_one_line_before_any_job(source, tmp_path, change, words):
    content = merge(yaml.safe_load((ROOT / "config.yaml").read_text()), change)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(source, tmp_path)
    lines = [line for line in done.stderr.splitlines() if "specific profile" not in line]
    assert done.returncode == 2
    assert len(lines) == 1 and lines[0].startswith("error: config.yaml: "), done.stderr
    assert all(word in lines[0] for word in words)
    assert not (tmp_path / "results").exists()


def test_overrides_are_refused(source, tmp_path):
    configure(source, tmp_path, TINY)
    done = snakemake(source, tmp_path, "--config", "label_set=revised-2020")
    assert done.returncode == 2 and "configure" in done.stderr


def test_captions_that_cannot_be_written_are_one_line(source, tmp_path):
    configure(source, tmp_path, TINY)
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / ".snakemake" / "captions").write_text("in the way")
    done = snakemake(source, tmp_path, "-n")
    lines = [line for line in done.stderr.splitlines() if "specific profile" not in line]
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert re.match("error: cannot write .*/.snakemake/captions/.*: a part of the path", lines[0])


def test_a_failing_job_leaves_no_output(source, tmp_path):
    """Too few frames to split: one line in the log, the rest of the run goes on, nothing that looks
    finished.
    """
    configure(
        source, tmp_path, also(TINY, {"games": ["pong"], "episodes": {"frames": {"probe": 300}}})
    )
    assert snakemake(source, tmp_path).returncode != 0
    log = (tmp_path / "logs/splits/random_agent/paper/probe/pong-s0.log").read_text()
    assert "collect" in log and "frames or more" in log and "Traceback" not in log
    assert not (tmp_path / "results/splits/random_agent/paper/probe/pong-s0.safetensors").exists()
    assert (
        tmp_path / "results/encoders/random_agent/paper/random-cnn/pong-s0.safetensors"
    ).exists()


def test_paths_with_blanks_quotes_and_braces(source, tmp_path):
    """A checkout anywhere, and runs inside or outside of it; what cannot be is one line."""
    checkout = tmp_path / "it's a {checkout} of $HOME"
    shutil.copytree(source, checkout, ignore=shutil.ignore_patterns("runs"))
    inside = checkout / "runs" / "my {run}"
    configure(checkout, inside, also(TINY, {"only": {"methods": ["maj-clf"]}}))
    target = "results/tables/table2_f1_by_game.tex"
    done = snakemake(checkout, inside, target)
    assert done.returncode == 0 and (inside / target).is_file(), done.stderr
    outside = tmp_path / "my run"
    outside.mkdir()
    shutil.copy(inside / "config.yaml", outside)
    done = snakemake(checkout, outside, "--snakefile", str(checkout / "Snakefile"), target)
    assert done.returncode == 2 and done.stderr.strip().splitlines()[-1] == (
        f"error: {checkout}: Snakemake takes braces in paths for wildcards: rename the folder, or "
        "make runs inside of it"
    )
    plain = checkout.rename(tmp_path / "it's a checkout of $HOME")
    done = snakemake(plain, outside, "--snakefile", str(plain / "Snakefile"), target)
    assert done.returncode == 0 and (outside / target).is_file(), done.stderr


def test_a_cluster_gets_time_memory_and_gpus_by_rule(source, tmp_path):
    """Without SLURM: what the profile asks for, on a host that has no GPU itself."""
    directory = tmp_path / "run"
    configure(source, directory, also(TINY, {"device": "cuda"}))
    profile = ["--workflow-profile", str(source / "profiles" / "slurm"), "--printshellcmds"]
    said = snakemake(source, directory, "-n", *profile, "--quiet", "host").stdout
    jobs = dict(re.findall(r"^rule (\w+):(.*?)\n\n", said, re.MULTILINE | re.DOTALL))
    assert {"episodes", "splits", "encoders", "probes"} <= jobs.keys()
    assert "gpu=1" in jobs["encoders"] and "runtime=1440" in jobs["encoders"]
    assert "mem_mb=12000" in jobs["encoders"] and "runtime=120" in jobs["splits"]
