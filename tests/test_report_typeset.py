"""LaTeX: the paper compiles to the same bytes, and what fails is one line."""

import re
import shutil
import sys

import pandas as pd
import pytest
from conftest import needs
from papers import FEW, METHODS, REFERENCE, SEVERAL, finished, rendered
from scored import settings
from workflow import ROOT

from workflow_src.cli.main import main
from workflow_src.errors import UserError
from workflow_src.report.files import write_table
from workflow_src.report.paper import typeset
from workflow_src.report.paper.write import write_paper

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("change", [FEW, SEVERAL, {"seeds": [0, 1]}], ids=["few", "several", "all"])
def test_it_compiles_without_overfull_lines(tmp_path, change):
    needs("latexmk", "pdflatex")
    _, source = rendered(tmp_path, settings(**change))
    log = typeset.compile(source, tmp_path / "log")
    assert max(typeset.overfull(log), default=0) <= 5
    for words in (
        "There were undefined references",
        "Float too large",
        "Citation",
        "multiply defined",
        "Missing character",
    ):
        assert words not in log, words
    count = int(re.search(r"Output written on paper\.pdf \((\d+) page", log)[1])
    assert 3 <= count <= 26
    # The main part has at most eight pages; all else is the appendix.
    begins = re.search(r"The appendix begins on page (\d+)", log)
    assert int(begins[1]) <= 9


def test_overfull_lines_are_found_in_the_log():
    assert typeset.overfull(
        "Overfull \\hbox (12.5pt too wide) in paragraph\n\nOverfull \\hbox (0.2pt too wide)"
    ) == [12.5, 0.2]


def test_the_same_files_give_the_same_bytes(tmp_path):
    needs("latexmk", "pdflatex")
    config = settings(**FEW)
    scores, files = finished(tmp_path, config)
    for folder in ("a", "a longer/folder"):
        write_paper(config, scores, REFERENCE, METHODS, files, tmp_path / folder / "paper.pdf")
    one, two = (
        (tmp_path / folder / "paper.pdf").read_bytes() for folder in ("a", "a longer/folder")
    )
    assert one.startswith(b"%PDF-1.") and one == two
    for words in (b"CreationDate", b"PTEX.FileName", str(tmp_path).encode()):
        assert words not in one, words
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["paper.pdf"]


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A PATH without LaTeX; scripts put there are its programs."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def script(name, body):
        (tmp_path / "bin" / name).write_text(
            f"#!{shutil.which('sh', path='/bin:/usr/bin')}\n{body}\n"
        )
        (tmp_path / "bin" / name).chmod(0o755)

    return script


def test_missing_latex_is_one_line_before_anything_else(tmp_path, bare, monkeypatch, capfd):
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    asked = [
        "--config",
        tmp_path / "config.yaml",
        "--scores",
        tmp_path / "nowhere",
        "--reference",
        tmp_path / "nowhere",
    ]
    asked += ["--methods", tmp_path / "nowhere", "--out", tmp_path / "made" / "paper.pdf"]
    monkeypatch.setattr(sys, "argv", ["workflow_src", "paper", *map(str, asked)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capfd.readouterr().err == (
        "error: the paper needs LaTeX, which is not installed: "
        "install texlive-latex-recommended and latexmk (Debian), or tectonic (conda)\n"
    )
    assert not (tmp_path / "made").exists()


def test_tectonic_serves_where_there_is_no_latexmk(tmp_path, bare):
    bare("tectonic", 'echo "$@" > asked; echo made > paper.pdf')
    (tmp_path / "paper.tex").write_text("x")
    typeset.compile(tmp_path / "paper.tex", tmp_path / "log")
    assert (tmp_path / "asked").read_text().split()[-1] == "paper.tex"
    assert "--untrusted" in (tmp_path / "asked").read_text()


def test_a_package_that_is_missing_says_what_to_install(tmp_path, bare):
    bare("pdflatex", "exit 1")
    bare("latexmk", 'echo "! LaTeX Error: File \\`booktabs.sty\' not found." > paper.log; exit 12')
    with pytest.raises(
        UserError,
        match=r"^LaTeX is installed without booktabs\.sty: install texlive-latex-recommended",
    ):
        typeset.compile(tmp_path / "paper.tex", tmp_path / "log")


def test_latex_that_does_not_end_is_named(tmp_path, bare, monkeypatch):
    monkeypatch.setattr(typeset, "TIMEOUT", 0.2)
    bare("tectonic", "exec /bin/sleep 5")
    with pytest.raises(UserError, match=r"tectonic did not end within 0\.2 s"):
        typeset.compile(tmp_path / "paper.tex", tmp_path / "log")


def test_latex_that_fails_is_one_line_and_its_log_is_kept(tmp_path):
    needs("latexmk", "pdflatex")
    config = settings(**FEW)
    scores, files = finished(tmp_path, config)
    write_table(pd.DataFrame({"a": [1]}), "\\undefinedcommand\n", files[0].with_suffix(""))
    out = tmp_path / "made" / "paper.pdf"
    with pytest.raises(UserError) as refused:
        write_paper(config, scores, REFERENCE, METHODS, files, out)
    assert (
        str(refused.value)
        == f"LaTeX fails: ! Undefined control sequence.: see its log, {out.with_suffix('.log')}"
    )
    assert [path.name for path in out.parent.iterdir()] == ["paper.log"]
    assert "undefinedcommand" in out.with_suffix(".log").read_text()
    write_table(pd.DataFrame({"a": [1]}), "Well.\n", files[0].with_suffix(""))
    write_paper(config, scores, REFERENCE, METHODS, files, out)
    assert [path.name for path in out.parent.iterdir()] == ["paper.pdf"]


def test_a_document_cannot_run_commands(tmp_path):
    needs("latexmk", "pdflatex")
    source = tmp_path / "paper.tex"
    source.write_text(
        r"\documentclass{article}\begin{document}x\immediate\write18{touch here}\end{document}"
    )
    (tmp_path / "latexmkrc").write_text("system('touch there');")
    typeset.compile(source, tmp_path / "log")
    assert source.with_suffix(".pdf").exists()
    assert not (tmp_path / "here").exists() and not (tmp_path / "there").exists()
