"""Tables as LaTeX: numbers, bold type, captions, the width of a page; and that they compile."""

import itertools
import re
import subprocess
from importlib.metadata import version

import pytest
from conftest import needs
from scored import GAMES, REFERENCE, data_of, few_methods, probe, scored, settings, with_numbers
from test_report_ledger import ledger_probes

from workflow_src import catalogue
from workflow_src.ari.labels import CATEGORIES
from workflow_src.config.methods import Method
from workflow_src.csv_files import read_cells, write_csv
from workflow_src.report import latex
from workflow_src.report.data import read_data
from workflow_src.report.names import CATEGORY_NAMES, DASH
from workflow_src.report.scores import ProbeFile, tidy
from workflow_src.report.studies.write import write_study
from workflow_src.report.tables import by_category, by_game, later_results
from workflow_src.report.tables.write import write_tables, write_variables

OF_SCORES = catalogue.select("table", "scores", by_game=False)
TABLES = [one.key for one in OF_SCORES if one.when(settings())]
TABLE2, TABLE3, REPRODUCTION = "table2_f1_by_game", "table3_f1_by_category", "reproduction_pong"


@pytest.fixture
def config():
    return few_methods()


def test_tables_are_written_the_same_twice_with_six_decimals_and_dashes(config, tmp_path):
    path = scored(tmp_path, probe("pong", f1=1 / 3), probe("pong", "global_t"))
    for folder in ("one", "two"):
        write_tables(config, path, REFERENCE, tmp_path / folder)
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert files == sorted(f"{t}.{end}" for t in TABLES for end in ("csv", "tex"))
    for name in files:
        content = (tmp_path / "one" / name).read_text()
        assert content == (tmp_path / "two" / name).read_text()
        assert "nan" not in content.lower()
    read = read_cells(tmp_path / "one" / f"{TABLE2}.csv")
    assert read.to_csv(index=False) == (
        "policy,protocol,game,maj-clf,maj-clf_paper,maj-clf_difference,st-dim,st-dim_paper,st-dim_difference,"
        "global_t,global_t_paper,global_t_difference\n"
        "random_agent,paper,pong,,0.1,,0.433333,0.81,-0.376667,0.6,,\n"
        "random_agent,paper,boxing,,0.01,,,0.58,,,,\n"
        "random_agent,paper,mean,,0.1,,0.433333,0.81,-0.376667,0.6,,\n"
    )
    shown = (tmp_path / "one" / f"{TABLE2}.tex").read_text()
    assert r"Game & MAJ-CLF & ST-DIM & GLOBAL\_T \\" in shown
    # Ours, the published, and the differences.
    rows = [line for line in shown.splitlines() if line.startswith(("pong", "boxing", "Mean"))]
    assert rows[:3] == [
        r"pong & -- & 0.43 & \textbf{0.60} \\",
        r"boxing & -- & -- & -- \\",
        r"Mean & -- & 0.43 & \textbf{0.60} \\",
    ]
    assert rows[3:5] == [
        r"pong & 0.10 & \textbf{0.81} & -- \\",
        r"boxing & 0.01 & \textbf{0.58} & -- \\",
    ]
    assert rows[6:] == [
        r"pong & -- & $-$0.38 & -- \\",
        r"boxing & -- & -- & -- \\",
        r"Mean & -- & $-$0.38 & -- \\",
    ]
    titles = re.findall(r"\\emph\{(.*?)\}", shown)
    assert titles == [
        r"Policy random\_agent, protocol paper",
        "Published (arXiv 1906.08226)",
        r"Difference, policy random\_agent, protocol paper",
    ]
    assert "12000" not in shown
    assert "Frames: 100000 for encoders, 50000 for probes." in shown


def test_table2_reads_in_a_terminal(config, tmp_path):
    write_tables(config, scored(tmp_path, probe("pong", f1=0.3)), REFERENCE, tmp_path)
    lines = [line.split() for line in by_game.plain_text(tmp_path / f"{TABLE2}.csv").splitlines()]
    assert lines[1] == ["MAJ-CLF", "ST-DIM", "GLOBAL_T"]
    assert lines[2] == ["pong", DASH, "(0.10)", "0.40", "(0.81)", DASH]
    assert lines[4][0] == "mean"


def test_the_caption_of_table3_says_when_the_published_values_are_not_comparable(config, tmp_path):
    few = by_category.latex(config, by_category.table(config, data_of(tmp_path, probe())))
    assert (
        "Not comparable: the published values are means over other games (22) than ours (1)." in few
    )
    assert "Small object localization" in few
    everything = config.model_copy(update={"games": GAMES})
    data = data_of(tmp_path, *(probe(game) for game in everything.games))
    shown = by_category.latex(everything, by_category.table(everything, data))
    assert "Not comparable" not in shown


def bold(table, row):
    """The columns of ``row`` that stand in bold."""
    header = (
        next(line for line in table.splitlines() if line.startswith("Game & "))
        .removesuffix(r" \\")
        .split(" & ")
    )
    cells = (
        next(line for line in table.splitlines() if line.startswith(row))
        .removesuffix(r" \\")
        .split(" & ")
    )
    return [name for name, cell in zip(header, cells, strict=True) if cell.startswith(r"\textbf")]


def test_the_best_of_a_row_is_bold_with_ties_and_without_those_that_saw_labels(config, tmp_path):
    methods = config.methods | {"supervised": Method(kind="supervised")}
    config = config.model_copy(update={"methods": methods})

    def shown(**f1):
        found = [
            probe(
                "pong",
                method,
                f1=value - 0.1,
                readout="supervised" if method == "supervised" else "majority",
            )
            for method, value in f1.items()
        ]
        data = data_of(tmp_path / str(len(f1)), *found)
        return by_game.latex(config, by_game.table(config, data))

    assert bold(
        shown(**{"maj-clf": 0.404, "st-dim": 0.412, "global_t": 0.39, "supervised": 0.9}), "pong"
    ) == [
        "MAJ-CLF",
        "ST-DIM",
    ]
    assert bold(shown(**{"maj-clf": 0.2, "st-dim": 0.412, "global_t": 0.39}), "pong") == ["ST-DIM"]
    assert (
        "Bold: the best of its row as shown, and what is within 0.01 of it, SUPERVISED aside, "
        "which learned from" in shown(supervised=0.5)
    )


def test_captions_name_protocol_label_set_frames_seeds_and_versions(config, tmp_path):
    write_tables(config, scored(tmp_path, probe("pong")), REFERENCE, tmp_path)
    for name in TABLES[1:]:
        caption = next(
            line
            for line in (tmp_path / f"{name}.tex").read_text().splitlines()
            if line.startswith(r"\caption")
        )
        for part in (
            "Protocol: paper.",
            "Label set: paper-2019.",
            "Frames: 100000 for encoders, 50000 for probes.",
            "Encoders learn in bfloat16 where the device has products of it, else in float32.",
            "Seeds: 0.",
            f"Versions: atariari {version('atariari')}, ale-py {version('ale-py')}, torch 2.",
        ):
            assert part in caption, name


def test_other_labels_than_the_published_are_said_not_to_compare(config, tmp_path):
    config = config.model_copy(update={"label_set": "revised-2020"})
    path = scored(tmp_path, *(probe(game, label_set="revised-2020") for game in config.games))
    write_tables(config, path, REFERENCE, tmp_path / "out")
    for name in (TABLE2, TABLE3, REPRODUCTION, "table2_accuracy_by_game"):
        assert (
            "Not comparable: ours are of label set revised-2020"
            in (tmp_path / "out" / f"{name}.tex").read_text()
        )
    assert "Not comparable" not in (tmp_path / "out" / "iqm.tex").read_text()


def test_latex_is_escaped():
    assert latex.escape("a_b & 5% {x} \\ ~^ #$") == (
        r"a\_b \& 5\% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{} \#\$"
    )


def test_every_category_has_a_name():
    assert list(CATEGORY_NAMES) == list(CATEGORIES)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_the_tables_compile_with_booktabs_alone_and_fit_a_page(tmp_path, seeds):
    config = settings(seeds=seeds, probe={"kinds": ["linear", "mlp", "regression"]})
    assert len(config.methods) == 14
    errors = {"r2": 0.5, "mae": 123.4, "within_2": 0.25}
    found = [
        with_numbers(errors, game=game, method=method, seed=seed, protocol=protocol)
        if readout == "regression"
        else probe(game, method, seed, protocol=protocol, readout=readout)
        for protocol, method, game, seed in itertools.product(
            config.protocols, config.methods, config.games, seeds
        )
        for readout in config.methods[method].probe_names(config.probe.kinds)
    ]
    variants = [*ledger_probes(config)]
    for name, probes in (("scores", found), ("ledger", variants)):
        rows = tidy(map(ProbeFile.model_validate, probes))
        write_csv(tmp_path / f"{name}.csv", rows)
    write_tables(config, tmp_path / "scores.csv", REFERENCE, tmp_path)
    later = later_results.table(config, read_data(tmp_path / "scores.csv", REFERENCE))
    (tmp_path / "later_results.tex").write_text(later_results.latex(config, later))
    write_variables(config, "boxing", tmp_path / "scores.csv", REFERENCE, tmp_path / "boxing")
    write_variables(config, "breakout", tmp_path / "scores.csv", REFERENCE, tmp_path / "breakout")
    scores = tmp_path / "ledger.csv"
    write_study(config, "ledger", scores, tmp_path / "tables", tmp_path / "figures")
    (tmp_path / "tables" / "ledger.tex").rename(tmp_path / "ledger.tex")
    names = [*(one.key for one in OF_SCORES), "boxing", "breakout", "ledger"]
    for name in names:
        shown = (tmp_path / f"{name}.tex").read_text()
        assert shown.count(r"\label") == 1
        assert (
            shown.count(r"\begin{table}")
            == shown.count(r"\end{table}")
            == 1 + shown.count("Continued.")
        )
        tabulars = re.findall(
            r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", shown, flags=re.DOTALL
        )
        for columns, rows in tabulars:
            assert [rows.count(rule) for rule in (r"\toprule", r"\bottomrule")] == [1, 1]
            assert {line.count(" & ") for line in rows.splitlines() if " & " in line} == {
                len(columns) - 1
            }
        # Every method, in the configuration's order; there is room for half, beside the games.
        if name == TABLE2:
            assert {len(columns) for columns, _ in tabulars} == {8}
            # Two protocols, what was published, and two differences.
            assert all(shown.count(f"{game} & ") == 2 * 5 for game in config.games)
            heads = [
                cell
                for _, rows in tabulars
                for cell in rows.splitlines()[2].removesuffix(r" \\").split(" & ")[1:]
            ]
            plain = [
                re.sub(r"\\shortstack\[r\]|\\rlap|\\rotatebox\{\d+\}|[{}\\]", "", head)
                for head in heads
            ]
            assert list(dict.fromkeys(plain)) == [method.upper() for method in config.methods]
    needs("pdflatex")  # the structure of the tables was checked, now that they compile
    document = [
        r"\documentclass[a4paper]{article}",
        r"\usepackage[margin=2cm]{geometry}",
        r"\usepackage[T1]{fontenc}",
    ]
    document += [r"\usepackage{booktabs,graphicx}", r"\begin{document}"]
    document += [*(rf"\input{{{name}}}\clearpage" for name in names), r"\end{document}"]
    (tmp_path / "all.tex").write_text("\n".join(document))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 0
    over = [float(points) for points in re.findall(r"Overfull .hbox \(([\d.]+)pt", done.stdout)]
    assert max(over, default=0) <= 3
    assert "Float too large" not in done.stdout


def test_a_narrow_table_is_one_panel_of_one_float():
    shown = latex.typeset("t", "C.", ["Game", "A"], [latex.Part("", [["pong", "0.5"]], [])])
    assert shown.count(r"\begin{tabular}{lr}") == shown.count(r"\begin{table}") == 1
    assert r"\small" in shown


def test_blocks_that_do_not_fit_a_page_go_on_in_a_float_of_the_same_number():
    parts = [latex.Part(f"part {i}", [["pong", "0.5"]] * 30, []) for i in range(3)]
    shown = latex.typeset("t", "C.", ["Game", "A"], parts)
    assert shown.count(r"\begin{table}") == 3
    assert shown.count(r"\addtocounter{table}{-1}") == 2
    assert [shown.count(f"part {i}") for i in range(3)] == [1, 1, 1]
