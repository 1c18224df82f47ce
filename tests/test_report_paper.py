"""The paper's words: facts by hand, no number typed, sentences only about what the run has."""

import re
import shutil

import pandas as pd
import pytest
from conftest import needs
from papers import FEW, METHODS, REFERENCE, SEVERAL, finished, rendered
from scored import probe, scored, settings
from workflow import ROOT

from workflow_src import catalogue
from workflow_src.config.run import Config
from workflow_src.csv_files import read_published
from workflow_src.errors import UserError
from workflow_src.report import latex
from workflow_src.report.data import read_data
from workflow_src.report.files import write_table
from workflow_src.report.paper import exhibits, method_pages, typeset
from workflow_src.report.paper import settings as paper_settings
from workflow_src.report.paper.exhibits import Item
from workflow_src.report.paper.facts import facts
from workflow_src.report.paper.write import TEMPLATE, render
from workflow_src.report.tables import by_category, by_game


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
    data = read_data(scores, REFERENCE)
    (block,) = facts(config, by_game.table(config, data), by_category.table(config, data))
    assert (block.games, len(block.means)) == (3, 14)
    first, second = block.means[:2]
    assert (first.method, second.method) == ("st-dim", "random-cnn")
    assert first.ours == pytest.approx((0.3 + 0.7 + 0.7) / 3)
    assert first.published == pytest.approx((0.81 + 0.58 + 0.72) / 3)
    assert block.first == 2
    random = next(one for one in block.baselines if one.method == "random-cnn")
    assert next(one for one in random.above if one.method == "st-dim")[1:] == (2, 3)
    assert next(one for one in random.above if one.method == "dim")[1:] == (0, 0)
    majority = next(one for one in block.baselines if one.method == "maj-clf")
    assert [(one.method, one.ours, one.published) for one in majority.above] == [
        ("random-cnn", 3, 3)
    ]
    assert (block.easiest, block.hardest) == (
        ("score_clock_lives_display", pytest.approx(2.0 / 3)),
        ("small_object_localization", pytest.approx(1.4 / 3)),
    )
    assert len(block.scores) == 10 * 3
    top = block.scores[0]
    assert abs(top.difference) == pytest.approx(
        max(abs(one.ours - one.published) for one in block.scores)
    )
    pong = next(one for one in block.scores if (one.method, one.game) == ("st-dim", "pong"))
    assert (pong.ours, pong.published) == (pytest.approx(0.3), 0.81)
    assert block.pairs == 45 and block.higher == sum(
        one.ours > one.published for one in block.scores
    )


def test_the_published_settings_are_the_root_configurations():
    config = Config.load(ROOT / "config.yaml")
    published = read_published(
        REFERENCE, paper_settings.PUBLISHED, text=["setting", "source"]
    ).set_index("setting")
    for one in paper_settings.compared_settings(config, published):
        assert one.ours == one.published and not one.smaller, one.name
    assert set(published.index) == set(paper_settings.NAMES)
    smaller = {
        one.name
        for one in paper_settings.compared_settings(
            settings(games=["pong"], training={"epochs": 9}), published
        )
        if one.smaller
    }
    assert smaller == {"games", "epochs of encoders at most"}


def test_no_number_is_typed_by_hand():
    """The template's prose has no digit: what has one comes from a variable, or is a name (F1,
    SHA-256, a citation).
    """
    text = TEMPLATE.read_text()
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
    said = [one for one in catalogue.EXHIBITS if one.section is not None]
    sentences += [one.sentence for one in said]
    sentences += [one.caption for one in said if one.kind == "figure"]
    assert not [text for text in sentences if re.search(r"\d", text.replace("F1", ""))]


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


def test_the_chapter_on_conditioning_says_how_far_scale_alone_lifts_a_method(tmp_path):
    kept = {"random-cnn", "random-cnn-standardised", "st-dim"}
    rest = {name: None for name in settings().methods if name not in kept}
    config = settings(**FEW | {"methods": rest})
    f1 = {"random-cnn": 0.1, "random-cnn-standardised": 0.4, "st-dim": 0.2}
    text, _ = rendered(tmp_path, config, lambda method, *_: f1[method])
    chapter = text.partition(r"\section{Scale of features and convergence of probes}")[2]
    assert (
        "RANDOM-CNN is number 3 of 3 by mean F1 as it is (0.20), and number 1 with its features "
        "standardised (0.50)." in chapter
    )
    assert r"\ref{tab:conditioning}" in chapter.partition(r"\section")[0]


def test_sentences_come_with_what_they_are_about(tmp_path):
    config = settings(**SEVERAL)
    scores, files = finished(tmp_path, config)
    more = {
        "tables/table4_f1_by_variable/boxing.tex": "table4_boxing",
        "tables/audit.tex": "audit",
        "tables/ledger.tex": "ledger",
        "tables/table4_f1_by_variable/pong.tex": "table4_pong",
        "tables/odd.tex": "",
    }
    (tmp_path / "tables/table4_f1_by_variable").mkdir()
    for name, label in more.items():
        table = latex.typeset(label, "C.", ["Game", "A"], [latex.Part("", [["pong", "0.5"]], [])])
        if label:
            write_table(pd.DataFrame({"a": [1]}), table, (tmp_path / name).with_suffix(""))
        else:
            (tmp_path / name).write_text(r"\begin{center}odd\end{center}")
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
    source = render(config, scores, REFERENCE, METHODS, files, tmp_path / "sources")
    text = source.read_text()
    order = [
        text.index(words)
        for words in (r"\section{Results}", "{What the quirks", "{Label audit}", r"\appendix")
    ]
    assert order == sorted(order)
    audit, appendix = text[order[2] : order[3]], text[order[3] :]
    assert (
        r"Table~\ref{tab:audit} counts variables by verdict" in audit
        and r"\input{audit.tex}" in appendix
    )
    said = (
        r"Table~\ref{tab:table4_boxing} gives F1 of every variable of one game, likewise "
        r"Table~\ref{tab:table4_pong}."
    )
    assert said in appendix
    for words in (
        r"\input{odd.tex}",
        r"\input{table4_f1_by_variable-pong.tex}",
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
        exhibits.collect([tmp_path / "scores.csv"], tmp_path)


def test_figures_are_put_in_pairs_where_they_are_narrow():
    narrow, wide = (Item("figure", "f.pdf", "fig:f", "", "", wide) for wide in (False, True))
    assert [len(row) for row in exhibits.in_rows([narrow, narrow, narrow, wide, narrow])] == [
        2,
        1,
        1,
        1,
    ]


def test_what_is_alike_is_said_once():
    one, two, three, none = (
        Item("table", "t", label, about, "", True) for label, about in ("aX", "bX", "cY", ("", "X"))
    )
    assert exhibits.by_sentence([one, none, two, three]) == [[one, two], [three]]


def test_a_missing_score_is_no_sentence(tmp_path):
    """A run whose second protocol has no scores yet is a paper of the first."""
    config = settings(**FEW | {"protocols": {}})
    found = [
        probe("pong", "maj-clf", 0, 0.5, "paper", "majority"),
        probe("pong", "random-cnn", 0, 0.3, "paper", "linear"),
    ]
    scores = scored(tmp_path, *found)
    (tmp_path / "sources").mkdir()
    text = render(config, scores, REFERENCE, METHODS, [], tmp_path / "sources").read_text()
    assert not re.search(r"\bnan\b", text)
    assert "MAJ-CLF has the highest" in text
