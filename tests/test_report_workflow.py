"""The paper's rule and Snakemake's own report, on a run whose files are made."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import needs
from papers import finished
from workflow import ROOT, TINY, configure, run, snakemake

from workflow_src import layout
from workflow_src.config.run import Config
from workflow_src.csv_files import read_cells
from workflow_src.report.files import write_table
from workflow_src.report.paper import typeset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def played(source, tmp_path_factory):
    """A run as its end leaves it: true scores, tables and figures, of files that nobody reads again
    and that are empty.
    """
    directory = source / "runs" / "paper"
    rows = {"methods": [*TINY["only"]["methods"], "vae"], "protocols": ["paper"]}
    configure(source, directory, TINY | {"games": ["pong"], "only": rows})
    config = Config.load(directory / "config.yaml")
    made = tmp_path_factory.mktemp("made")
    # In a folder of the name that they have in the run: tables know their place.
    made /= "results"
    finished(made, config)
    for name in ("tables", "figures", "scores.csv"):
        copy = shutil.copytree if (made / name).is_dir() else shutil.copy
        (directory / "results").mkdir(exist_ok=True)
        copy(made / name, directory / "results" / name)
    (directory / "results" / "figures" / "reconstructions").mkdir()
    for name, kind in itertools.product(
        ("learning_curves", "reconstructions/pong"), ("pdf", "png")
    ):
        shutil.copy(
            made / "figures" / f"iqm.{kind}", directory / "results" / "figures" / f"{name}.{kind}"
        )
    for file in (
        Path(f"results/tables/{name}") for name in ("audit.csv", "audit.tex", "audit_variables.csv")
    ):  # an empty table is none
        text = (made / "tables" / "iqm.tex").read_text().partition("% sha256")[0]
        cells = read_cells(made / "tables" / "iqm.csv")
        write_table(cells, text.replace("tab:iqm", "tab:audit"), (directory / file).with_suffix(""))
    for file in [
        layout.METRICS.path,
        layout.PAGE.path,
        *itertools.chain(*layout.folders(config).values()),
    ]:
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        if file.endswith(".tex"):
            write_table(pd.DataFrame({"a": [1]}), "", (directory / file).with_suffix(""))
        (directory / file).touch()
    done = snakemake(source, directory, "--touch")
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_the_target_paper_makes_it_once(source, played):
    needs("latexmk", "pdflatex")
    done = snakemake(source, played, "paper")
    assert done.returncode == 0, done.stdout + done.stderr
    content = (played / "results/paper.pdf").read_bytes()
    again = snakemake(source, played, "-n", "results/paper.pdf")
    assert "Nothing to be done" in again.stdout + again.stderr
    page = source / "docs/methods/st-dim.md"
    text = page.read_text()
    try:
        page.write_text(text.replace("Tells which", "Says which", 1))
        assert snakemake(source, played, "paper").returncode == 0
        assert (played / "results/paper.pdf").read_bytes() != content
    finally:
        page.write_text(text)
        (played / "results/paper.pdf").unlink()


def test_missing_latex_is_said_before_any_job_and_only_of_the_paper(source, tmp_path):
    """Snakemake's own programs are there, LaTeX is not."""
    configure(source, tmp_path / "run", TINY)
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "sh", "env", "git", "which"):  # which: the executor for SLURM asks it
        if found := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(found)
    environment = os.environ | {"PYTHONPATH": str(source), "PATH": str(tmp_path / "bin")}
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        source / "Snakefile",
        "--directory",
        tmp_path / "run",
    ]

    def ask(*target):
        return subprocess.run(
            [*command, *target, "--cores", "1", "--quiet", "all"],
            capture_output=True,
            text=True,
            env=environment,
        )

    done = ask("paper")
    lines = [line for line in done.stderr.splitlines() if "specific profile" not in line]
    assert done.returncode == 2 and lines == [
        f"error: the paper needs LaTeX, which is not installed: {typeset.INSTALL}"
    ]
    assert not (tmp_path / "run" / "results").exists()
    assert ask("-n").returncode == 0, "a refusal leaves no lock, and nobody else needs LaTeX"


def test_dvc_is_not_asked_for_latex():
    assert "paper.pdf" not in (ROOT / "dvc.yaml").read_text()


def test_the_report_has_a_caption_and_a_category_for_every_result(source, played, tmp_path):
    """Made without network: what the page needs comes with Snakemake."""
    environment = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        done = snakemake(source, played, "--report", tmp_path / "report.html")
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "downloading" not in done.stderr
    page = (tmp_path / "report.html").read_text()
    read = json.JSONDecoder().raw_decode
    results, categories = (
        read(page, page.index(f"var {name} = {{") + len(f"var {name} = "))[0]
        for name in ("results", "categories")
    )
    assert {path for path in results if path.endswith(".pdf")} >= {
        "results/figures/f1_by_game.pdf",
        "results/figures/iqm.pdf",
    }
    for path, result in results.items():
        assert len(result["caption"]) > 30 and "{{" not in result["caption"], path
        assert set(result["labels"]) == {"name", "format"}, path
    assert results["results/figures/reconstructions/pong.png"]["labels"] == {
        "name": "reconstructions, pong",
        "format": "png",
    }
    listed = {
        path: category
        for category, parts in categories.items()
        for paths in parts.values()
        for path in paths
    }
    assert set(listed) == set(results)
    assert set(listed.values()) == {"Tables", "Figures", "Agreement", "Label audit"}
    assert set(categories["Tables"]) == {"Of the paper", "By game", "Our own"}
    assert set(categories["Figures"]) == {"By game", "Our own"}
    assert results["results/audit/revised-2020/pong.png"]["labels"]["name"] == "revised-2020, pong"


def test_every_output_of_the_report_goes_by_the_catalogue():
    """Those that are made when asked for, too: only shown() of common.smk calls Snakemake's
    report().
    """
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    assert text.count("report(") - text.count("_report(") == 1


def test_the_paper_by_the_command_line(source, played, tmp_path):
    """The command as the rule calls it, by hand."""
    needs("latexmk", "pdflatex")
    made = [*(played / "results/tables").glob("*.tex"), *(played / "results/figures").glob("*.pdf")]
    asked = [
        "--config",
        played / "config.yaml",
        "--scores",
        played / "results/scores.csv",
        "--reference",
        source / "reference",
    ]
    asked += ["--methods", source / "docs/methods", "--out", tmp_path / "paper.pdf"]
    done = run(source, sys.executable, "-m", "workflow_src", "paper", *asked, *made)
    assert done.returncode == 0 and not done.stdout, done.stderr
    assert (tmp_path / "paper.pdf").stat().st_size > 50_000
