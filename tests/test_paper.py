"""paper.pdf: its facts by hand, its words without numbers, its pages from LaTeX itself; and Snakemake's own report."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import needs
from test_report import probe, scored, settings
from workflow import ROOT, TINY, configure, run, snakemake

from workflow_src import layout
from workflow_src.cli.main import main
from workflow_src.config.methods import Method
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report import figures, latex, method_pages, paper, tables, typeset
from workflow_src.report.scores import read_csv, read_scores

REFERENCE, METHODS = ROOT / "reference", ROOT / "docs" / "methods"
ONLY = {"maj-clf", "random-cnn"}
FEW = {
    "games": ["pong"],
    "protocols": {"corrected": None},
    "methods": {name: None for name in settings().methods if name not in ONLY},
    "ledger": None,
    "scaling": None,
}
SEVERAL = {"games": ["pong", "boxing", "mspacman"], "seeds": [0, 1]}


def finished(folder, config, f1=None):
    """Scores, tables and figures of a run as its rules make them; (scores, files)."""
    draw = np.random.default_rng(0)
    f1 = f1 or (lambda *_: round(draw.uniform(0.1, 0.7), 3))
    found = [
        probe(
            game,
            method,
            seed,
            f1(method, game, protocol),
            protocol,
            config.methods[method].probe_names(config.probe.kinds)[0],
        )
        for protocol, method, game, seed in itertools.product(
            config.protocols, config.methods, config.games, config.seeds
        )
    ]
    scores = scored(folder, *found)
    tables.write_tables(config, scores, REFERENCE, folder / "tables")
    figures.write_figures(config, scores, folder / "figures")
    return scores, [
        *sorted((folder / "tables").glob("*.tex")),
        *sorted((folder / "figures").glob("*.pdf")),
    ]


def rendered(folder, config, f1=None):
    """The paper's LaTeX as one text without line ends, and its file."""
    scores, files = finished(folder, config, f1)
    (folder / "sources").mkdir()
    source = paper.render(config, scores, REFERENCE, METHODS, files, folder / "sources")
    return " ".join(source.read_text().split()), source


# What it says


def test_facts_are_those_of_the_tables(tmp_path):
    config = settings(**SEVERAL | {"seeds": [0], "protocols": {"corrected": None}, "ledger": None})
    ours = {"st-dim": 0.6, "random-cnn": 0.3, "maj-clf": 0.0}
    scores, _ = finished(
        tmp_path,
        config,
        lambda method, game, _: (
            ours.get(method, 0.1) - (0.4 if (method, game) == ("st-dim", "pong") else 0)
        ),
    )
    found = read_scores(scores)
    by_game = tables.by_game(
        config, found, read_csv(REFERENCE / tables.REFERENCE2, text=["game"]).set_index("game")
    )
    categories = read_csv(REFERENCE / tables.REFERENCE3, text=["category"]).set_index("category")
    (block,) = paper.facts(config, by_game, tables.by_category(config, found, categories))
    assert (block.games, len(block.means)) == (3, 12)
    first, second = block.means[:2]
    assert (first.method, second.method) == ("st-dim", "random-cnn")
    assert first.ours == pytest.approx((0.3 + 0.7 + 0.7) / 3)
    assert first.published == pytest.approx((0.81 + 0.58 + 0.72) / 3)
    assert block.first == 2
    random = next(one for one in block.baselines if one.method == "random-cnn")
    assert next(one for one in random.above if one.method == "st-dim")[1:] == (2, 3)
    assert next(one for one in random.above if one.method == "dim")[1:] == (0, None)
    majority = next(one for one in block.baselines if one.method == "maj-clf")
    assert [(one.method, one.ours, one.published) for one in majority.above] == [
        ("random-cnn", 3, 3)
    ]
    assert (block.easiest, block.hardest) == (
        ("score_clock_lives_display", pytest.approx(2.0 / 3)),
        ("small_object_localization", pytest.approx(1.4 / 3)),
    )
    assert len(block.cells) == 7 * 3
    top = block.cells[0]
    assert abs(top.difference) == pytest.approx(
        max(abs(cell.ours - cell.published) for cell in block.cells)
    )
    pong = next(cell for cell in block.cells if (cell.method, cell.game) == ("st-dim", "pong"))
    assert (pong.ours, pong.published) == (pytest.approx(0.3), 0.81)
    assert block.pairs == 21 and block.higher == sum(
        cell.ours > cell.published for cell in block.cells
    )


def test_the_published_settings_are_the_root_configurations():
    config = Config.load(ROOT / "config.yaml")
    published = read_csv(REFERENCE / paper.SETTINGS, text=["setting", "source"]).set_index(
        "setting"
    )
    for one in paper.settings(config, published):
        assert one.ours == one.published and not one.smaller, one.name
    assert set(published.index) == set(paper._SETTINGS)
    smaller = {
        one.name
        for one in paper.settings(settings(games=["pong"], training={"epochs": 9}), published)
        if one.smaller
    }
    assert smaller == {"games", "epochs of encoders at most"}


def test_no_number_is_typed_by_hand():
    """The template's prose has no digit: what has one comes from a variable, or is a name (F1, SHA-256, a citation)."""
    text = paper.TEMPLATE.read_text()
    body = text[text.index(r"\begin{document}") :]
    body = re.sub(
        r"\\begin\{thebibliography\}.*\\end\{thebibliography\}", "", body, flags=re.DOTALL
    )
    body = re.sub(
        r"<<.*?>>|<%.*?%>|<#.*?#>|\\(?:cite|ref|label|setlength)(?:\{[^}]*\})+",
        "",
        body,
        flags=re.DOTALL,
    )
    body = re.sub(r"\bF1\b|\bSHA-256\b", "", body)
    assert not re.findall(r".*\d.*", body)
    macros = re.findall(r"<% macro.*?<% endmacro %>", text, flags=re.DOTALL)
    assert macros and not any(
        re.search(r"\d", re.sub(r"<<.*?>>|<%.*?%>", "", macro)) for macro in macros
    )
    texts = re.findall(r'"([^"]*)"', "".join(re.findall(r"<<.*?>>|<%.*?%>", text)))
    assert not [
        one for one in texts if re.search(r"\d", one) and not re.fullmatch(r"\d{4}\.\d{4,5}", one)
    ]
    sentences = [method_pages.read_page(page).sentence for page in METHODS.glob("*.md")]
    about = [text for place in paper.PLACES.values() for text in (place.about, place.caption)]
    assert not [text for text in [*sentences, *about] if re.search(r"\d", text.replace("F1", ""))]


def test_numbers_follow_the_scores(tmp_path):
    config = settings(**FEW)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, _ = rendered(
        tmp_path / "a", config, lambda method, *_: {"maj-clf": 0.11, "random-cnn": 0.33}[method]
    )
    two, _ = rendered(
        tmp_path / "b", config, lambda method, *_: {"maj-clf": 0.44, "random-cnn": 0.22}[method]
    )
    assert "RANDOM-CNN has the highest mean F1, 0.43, where 0.17 was published" in one
    assert "the lowest is MAJ-CLF with 0.21" in one
    assert "Above MAJ-CLF is RANDOM-CNN in 1 of 1 game (published: 1)." in one
    assert "MAJ-CLF has the highest mean F1, 0.54" in two and "is RANDOM-CNN in 0 of 1 game" in two
    assert r"RANDOM-CNN in pong (0.43 instead of 0.17)" in one
    assert "$-$0.12" not in one and "+0.26 for RANDOM-CNN" in one


def test_sentences_are_left_out_with_what_they_are_about(tmp_path):
    text, _ = rendered(tmp_path, settings(**FEW))
    for words in (
        "ST-DIM",
        "standard deviation",
        "bootstrapped",
        r"\section{Label audit}",
        "quirks are worth",
        "Under protocol",
    ):
        assert words not in text, words
    assert "There is a single seed" in text and "1 game, 2 methods, 1 protocol, 1 seed" in text
    assert (
        r"\bibitem{1906.08226}" in text
        and r"\bibitem{1807.03748}" not in text
        and r"\bibitem{2108.13264}" not in text
    )
    assert "1 instead of 22 games" in text


def test_sentences_come_with_what_they_are_about(tmp_path):
    config = settings(**SEVERAL)
    scores, files = finished(tmp_path, config)
    more = {
        "tables/table4_boxing.tex": "table4_boxing",
        "tables/audit.tex": "audit",
        "tables/ledger.tex": "ledger",
        "tables/table4_pong.tex": "table4_pong",
        "tables/odd.tex": "",
    }
    for name, label in more.items():
        table = latex.table(label, "C.", ["Game", "A"], [latex.Part("", [["pong", "0.5"]], [])])
        (tmp_path / name).write_text(table if label else r"\begin{center}odd\end{center}")
    (tmp_path / "figures" / "reconstructions").mkdir()
    shutil.copy(
        tmp_path / "figures" / "iqm.pdf", tmp_path / "figures" / "reconstructions" / "pong.pdf"
    )
    (tmp_path / "sources").mkdir()
    files = [
        *files,
        *(tmp_path / name for name in more),
        tmp_path / "figures" / "reconstructions" / "pong.pdf",
    ]
    source = paper.render(config, scores, REFERENCE, METHODS, files, tmp_path / "sources")
    text = source.read_text()
    order = [
        text.index(words)
        for words in (r"\section{Results}", "{What the quirks", "{Label audit}", r"\appendix")
    ]
    assert order == sorted(order)
    audit, appendix = text[order[2] : order[3]], text[order[3] :]
    assert (
        r"Table~\ref{tab:audit} counts variables by verdict" in audit
        and r"\input{audit.tex}" in audit
    )
    said = r"Table~\ref{tab:table4_boxing} has every variable of one game, likewise Table~\ref{tab:table4_pong}."
    assert said in appendix
    for words in (
        r"\input{odd.tex}",
        r"\input{table4_pong.tex}",
        r"\onepicture{reconstructions-pong.pdf}",
    ):
        assert words in appendix
    assert (
        "Under protocol \\texttt{corrected}" in text
        and r"{\tiny$\pm$}" not in text[: text.index("section{Intro")]
    )
    assert r"$\pm$" in text and "2 seeds" in text
    references = set(re.findall(r"\\ref\{([^}]*)\}", text))
    labels = set(
        re.findall(
            r"\\label\{([^}]*)\}",
            "".join(f.read_text() for f in (tmp_path / "sources").glob("*.tex")),
        )
    )
    assert references <= labels
    needs("latexmk", "pdflatex")
    assert "There were undefined references" not in typeset.compile(source, tmp_path / "log")


def test_files_that_are_neither_table_nor_figure_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"scores\.csv is neither a table"):
        paper.collect([tmp_path / "scores.csv"], tmp_path)


def test_figures_stand_in_pairs_where_they_are_narrow():
    narrow, wide = (paper.Item("figure", "f.pdf", "fig:f", "", "", wide) for wide in (False, True))
    assert [len(row) for row in paper.rows_of([narrow, narrow, narrow, wide, narrow])] == [
        2,
        1,
        1,
        1,
    ]


def test_what_is_alike_is_said_once():
    one, two, three, none = (
        paper.Item("table", "t", label, about, "", True)
        for label, about in ("aX", "bX", "cY", ("", "X"))
    )
    assert paper.alike([one, none, two, three]) == [[one, two], [three]]


def test_a_missing_score_is_no_sentence(tmp_path):
    """A run whose second protocol has no scores yet is a paper of the first."""
    config = settings(**FEW | {"protocols": {}})
    found = [
        probe("pong", "maj-clf", 0, 0.5, "paper", "majority"),
        probe("pong", "random-cnn", 0, 0.3, "paper", "linear"),
    ]
    scores = scored(tmp_path, *found)
    (tmp_path / "sources").mkdir()
    text = paper.render(config, scores, REFERENCE, METHODS, [], tmp_path / "sources").read_text()
    assert not re.search(r"\bnan\b", text)
    assert "MAJ-CLF has the highest" in text


# Methods' pages


@pytest.mark.parametrize("page", sorted(METHODS.glob("*.md")), ids=lambda page: page.stem)
def test_pages_have_the_same_sections(page):
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What it learns", "Source", "Settings", "How ours differs", "When to use"]
    assert text.startswith(f"# {page.stem}\n\n")
    assert 15 <= text.count("\n") <= 40
    assert all(
        len(part.strip()) > 20 for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    )
    assert re.search(r"^Files?: ?|File: ?|Files: ", text, re.MULTILINE)
    for file in re.findall(r"`(workflow_src/[\w/]+\.py)`", text):
        assert (ROOT / file).is_file(), file


def test_every_page_is_of_a_method():
    kinds = {
        method_pages.page_of(Method(kind=kind))
        for kind in ("majority", *settings().methods)
        if kind != "maj-clf"
    }
    assert {page.name for page in METHODS.glob("*.md")} == kinds | {"custom.md"}


def test_every_arxiv_number_that_a_page_names_is_in_the_references():
    known = set(re.findall(r"\\bibitem\{(\d{4}\.\d{4,5})\}", paper.TEMPLATE.read_text()))
    assert {
        source for page in METHODS.glob("*.md") for source in method_pages.read_page(page).sources
    } <= known


def test_a_page_without_a_sentence_is_refused(tmp_path):
    (tmp_path / "odd.md").write_text("no title\n")
    with pytest.raises(UserError, match=r"odd\.md does not begin with a title"):
        method_pages.read_page(tmp_path / "odd.md")
    with pytest.raises(UserError, match="there is no such file"):
        method_pages.read_page(tmp_path / "none.md")


# LaTeX


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
    assert 3 <= count <= 22


def test_overfull_lines_are_found_in_the_log():
    assert typeset.overfull(
        "Overfull \\hbox (12.5pt too wide) in paragraph\n\nOverfull \\hbox (0.2pt too wide)"
    ) == [12.5, 0.2]


def test_the_same_files_give_the_same_bytes(tmp_path):
    needs("latexmk", "pdflatex")
    config = settings(**FEW)
    scores, files = finished(tmp_path, config)
    for folder in ("a", "a longer/folder"):
        paper.write_paper(
            config, scores, REFERENCE, METHODS, files, tmp_path / folder / "paper.pdf"
        )
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
        "error: the paper needs LaTeX, which is not here: "
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
        match=r"^LaTeX is here, but lacks booktabs\.sty: install texlive-latex-recommended",
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
    files[0].write_text(r"\undefinedcommand")
    out = tmp_path / "made" / "paper.pdf"
    with pytest.raises(UserError) as refused:
        paper.write_paper(config, scores, REFERENCE, METHODS, files, out)
    assert (
        str(refused.value)
        == f"LaTeX fails: ! Undefined control sequence. (its log is kept as {out.with_suffix('.log')})"
    )
    assert [path.name for path in out.parent.iterdir()] == ["paper.log"]
    assert "undefinedcommand" in out.with_suffix(".log").read_text()
    files[0].write_text("Well.")
    paper.write_paper(config, scores, REFERENCE, METHODS, files, out)
    assert [path.name for path in out.parent.iterdir()] == ["paper.pdf"]


def test_what_a_document_says_is_not_executed(tmp_path):
    needs("latexmk", "pdflatex")
    source = tmp_path / "paper.tex"
    source.write_text(
        r"\documentclass{article}\begin{document}x\immediate\write18{touch here}\end{document}"
    )
    (tmp_path / "latexmkrc").write_text("system('touch there');")
    typeset.compile(source, tmp_path / "log")
    assert source.with_suffix(".pdf").exists()
    assert not (tmp_path / "here").exists() and not (tmp_path / "there").exists()


# The rule


@pytest.fixture(scope="module")
def played(source, tmp_path_factory):
    """A run as its end leaves it: true scores, tables and figures, of files that nobody reads again and that are empty."""
    directory = source / "runs" / "paper"
    methods = {name: change for name, change in TINY["methods"].items() if name != "vae"}
    configure(source, directory, TINY | {"games": ["pong"], "methods": methods})
    config = Config.load(directory / "config.yaml")
    made = tmp_path_factory.mktemp("made")
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
    for file in map(Path, layout.AUDITS):  # an empty table is none
        text = (made / "tables" / f"iqm{file.suffix}").read_text()
        (directory / file).write_text(text.replace("tab:iqm", "tab:audit"))
    for file in [layout.METRICS, layout.REPORT, *itertools.chain(*layout.folders(config).values())]:
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
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
    for tool in ("bash", "sh", "env", "git"):
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
    lines = [line for line in done.stderr.splitlines() if "profile" not in line]
    assert done.returncode == 2 and lines == [
        f"error: the paper needs LaTeX, which is not here: {typeset.INSTALL}"
    ]
    assert not (tmp_path / "run" / "results").exists()
    assert ask("-n").returncode == 0, "a refusal leaves no lock, and nobody else needs LaTeX"


def test_dvc_is_not_asked_for_latex():
    assert "paper.pdf" not in (ROOT / "dvc.yaml").read_text()


# Snakemake's own report


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
    assert set(listed.values()) == {"Tables", "Figures", "Label audit"}
    assert set(categories["Tables"]) == {"Of the paper", "By game", "Beside the paper's"}
    assert set(categories["Figures"]) == {"By game", "Beside the paper's"}
    assert results["results/audit/revised-2020/pong.png"]["labels"]["name"] == "revised-2020, pong"


def test_every_result_of_the_rules_has_a_caption():
    """Those that are made when asked for, too: each rule's report goes by one function, whose fallbacks exist."""
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    assert text.count("report(") - text.count("_report(") == 1, (
        "all outputs go by shown() of common.smk"
    )
    captions = {file.stem for file in (ROOT / "rules" / "captions").glob("*.rst")}
    categories = set(re.findall(r"shown\(.*\"([\w ]+)\"\)", text))
    assert {category.lower().replace(" ", "_") for category in categories} <= captions
    assert {
        "table1_variables_by_category",
        "table2_f1_by_game",
        "learning_curves",
        "reconstructions",
    } <= captions


def test_shown_in_a_run_of_the_command_line(source, played, tmp_path):
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
