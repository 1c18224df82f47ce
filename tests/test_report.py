import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from workflow_src.ari.labels import CATEGORIES
from workflow_src.config import Config, Method
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report import aggregate, figures, latex, tables
from workflow_src.report.names import CATEGORY_NAMES, DASH
from workflow_src.report.scores import COLUMNS, read_csv, read_scores, write_scores

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "reference"
PUBLISHED = set(Config.load(ROOT / "config.yaml").games)  # the 22 of the paper


@pytest.fixture
def config():
    """Two games, one protocol, three methods, one of which (in capitals GLOBAL_T) the paper does not have."""
    paper = Config.load(ROOT / "config.yaml")
    methods = {name: Method(kind="majority") for name in ("maj-clf", "st-dim", "global_t")}
    protocols = {"paper": paper.protocols["paper"]}
    return paper.model_copy(update={"games": ["pong", "boxing"], "methods": methods, "protocols": protocols})


def probe(game="pong", method="st-dim", seed=0, f1=0.5, protocol="paper", **change):
    """A probe's file; the ball is at ``f1`` and the score at ``f1 + 0.2``."""
    ball, score = {"f1": f1, "accuracy": f1 + 0.1}, {"f1": f1 + 0.2, "accuracy": f1 + 0.3}
    about = {"classes": 3, "entropy": 1.0, "support": 10}
    return {
        "game": game,
        "policy": "random_agent",
        "protocol": protocol,
        "method": method,
        "seed": seed,
        "label_set": "paper-2019",
        "probe": "linear",
        "variables": {
            "ball_x": {**ball, **about, "categories": ["small_object_localization"]},
            "player_score": {**score, **about, "categories": ["score_clock_lives_display"]},
        },
        "categories": {"small_object_localization": ball, "score_clock_lives_display": score},
        "mean_over_categories": {"f1": f1 + 0.1, "accuracy": f1 + 0.2},
        "mean_over_variables": {"f1": f1 + 0.1, "accuracy": f1 + 0.2},
    } | change


def save(folder, *probes):
    """Write probes as the workflow names them; return their paths."""
    paths = []
    for p in probes:
        path = folder / p["policy"] / p["protocol"] / p["method"] / f"{p['game']}-s{p['seed']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(p))
        paths.append(path)
    return paths


def scored(folder, *probes):
    """The path of the scores of ``probes``."""
    write_scores(save(folder, *probes), folder / "scores.csv")
    return folder / "scores.csv"


def published(name, index):
    return read_csv(REFERENCE / name, text=[index]).set_index(index)


def table2(config, path):
    table = tables.f1_by_game(config, read_scores(path), published(tables.REFERENCE2, "game"))
    return table.set_index(["protocol", "game"])


def table3(config, path):
    return tables.f1_by_category(config, read_scores(path), published(tables.REFERENCE3, "category"))


# Scores


def test_scores_are_one_row_for_each_metric_whatever_the_order_of_the_files(tmp_path):
    paths = save(tmp_path, probe("pong", f1=0.1), probe("boxing", f1=0.3))
    write_scores(paths, tmp_path / "a.csv")
    write_scores(paths[::-1], tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    scores = read_scores(tmp_path / "a.csv")
    assert list(scores.columns) == COLUMNS
    assert len(scores) == 2 * (2 + 2 + 1 + 1) * 2  # probes, (variables, categories, means), metrics
    boxing = scores[scores["game"] == "boxing"].set_index(["level", "name", "metric"])["value"]
    assert boxing["variable", "ball_x", "f1"] == 0.3
    assert boxing["category", "score_clock_lives_display", "accuracy"] == 0.3 + 0.3
    assert boxing["mean_over_categories", "", "f1"] == 0.3 + 0.1  # to the last bit, after writing and reading
    assert boxing["mean_over_variables", "", "accuracy"] == 0.5


@pytest.mark.parametrize("key", ["seed", "categories", "mean_over_categories.f1", "variables.ball_x.accuracy"])
def test_a_probe_that_lacks_a_key_is_refused(tmp_path, key):
    content = probe()
    *above, last = key.split(".")
    part = content
    for name in above:
        part = part[name]
    del part[last]
    path = tmp_path / "pong-s0.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedFile, match=rf"pong-s0\.json.*lacks the key {re.escape(key)}\)"):
        write_scores([path], tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("text", ["{", "[]", "null", json.dumps(probe(mean_over_categories={"f1": math.nan, "accuracy": 0}))])
def test_a_damaged_probe_is_refused(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DamagedFile, match=r"p\.json is damaged"):
        write_scores([tmp_path / "p.json"], tmp_path / "scores.csv")


def test_the_same_probe_twice_is_refused(tmp_path):
    one, two = save(tmp_path, probe()), save(tmp_path / "old", probe(f1=0.9))
    with pytest.raises(UserError, match="both of random_agent/paper/st-dim/pong/0"):
        write_scores(one + two, tmp_path / "scores.csv")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\na,a,a,a,zero,a,a,a,a,f1,0.5\n"])
def test_damaged_scores_are_refused(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DamagedFile, match=r"scores\.csv is damaged"):
        read_scores(tmp_path / "scores.csv")


def test_scores_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_scores(tmp_path / "scores.csv")


# Table 1


def test_table1_is_the_published_one():
    config = Config.load(ROOT / "config.yaml")
    reference = published(tables.REFERENCE1, "game")
    table = tables.variables_by_category(config, reference).set_index("game")
    assert list(table.columns) == [*CATEGORIES, "overall"]
    assert len(table) == 22 + 2
    pd.testing.assert_frame_equal(table.drop("paper_total"), reference[table.columns], check_dtype=False)
    assert table.loc["paper_total"].equals(table.loc["total"].rename("paper_total"))


def test_table1_totals_the_games_of_the_configuration(config):
    table = tables.variables_by_category(config, published(tables.REFERENCE1, "game")).set_index("game")
    assert list(table.index) == ["pong", "boxing", "total", "paper_total"]
    assert table["overall"].tolist() == [6, 7, 13, 308]


# Tables 2 and 3


def test_table2_has_ours_beside_the_published(config, tmp_path):
    path = scored(tmp_path, probe("pong", f1=0.3), probe("boxing", f1=0.5), probe("pong", "maj-clf", f1=0.0))
    table = table2(config, path)
    assert table.index.tolist() == [("paper", "pong"), ("paper", "boxing"), ("paper", "mean")]
    assert table.columns.tolist() == ["policy", *(m + end for m in config.methods for end in ("", "_paper"))]
    assert table["st-dim"].tolist() == pytest.approx([0.4, 0.6, 0.5])
    assert table["st-dim_paper"].tolist() == pytest.approx([0.81, 0.58, 0.695])  # the mean over the same two games
    assert table["maj-clf"].tolist() == pytest.approx([0.1, math.nan, math.nan], nan_ok=True)  # lacks boxing: no mean
    assert table["global_t"].isna().all()
    assert table["global_t_paper"].isna().all()


def test_table2_mean_is_over_the_games_that_are_there(config, tmp_path):
    table = table2(config, scored(tmp_path, probe("pong", f1=0.3), probe("pong", "maj-clf", f1=0.0)))
    assert table["st-dim"].tolist() == pytest.approx([0.4, math.nan, 0.4], nan_ok=True)
    assert table["st-dim_paper"].tolist() == pytest.approx([0.81, 0.58, 0.81])


def test_table2_gives_the_published_mean_when_all_games_are_there(config, tmp_path):
    config = config.model_copy(
        update={"games": Config.load(ROOT / "config.yaml").games, "methods": {"vae": Method(kind="majority")}}
    )
    table = table2(config, scored(tmp_path, *(probe(game, "vae") for game in config.games)))
    assert table.loc[("paper", "mean"), "vae"] == pytest.approx(0.6)
    assert table.loc[("paper", "mean"), "vae_paper"] == 0.40  # the mean of the published values is 0.394


def test_seeds_become_mean_and_standard_deviation(config, tmp_path):
    config = config.model_copy(update={"seeds": [0, 7]})
    path = scored(
        tmp_path,
        *(probe("pong", seed=seed, f1=f1) for seed, f1 in ((0, 0.3), (7, 0.5))),
        *(probe("boxing", seed=seed, f1=f1) for seed, f1 in ((0, 0.3), (7, 0.3))),
        probe("pong", "maj-clf", seed=0),
    )
    table = table2(config, path)
    assert table["st-dim"].tolist() == pytest.approx([0.5, 0.4, 0.45])
    assert table["st-dim_std"].tolist() == pytest.approx([0.2 / 2**0.5, 0, 0.1 / 2**0.5])
    assert table["maj-clf"].isna().all()  # one of two seeds is not their mean
    assert table3(config, path)["st-dim"].tolist()[0] == pytest.approx(0.35)


def test_several_protocols_are_blocks_of_the_same_table(config, tmp_path):
    config = config.model_copy(
        update={"protocols": {"paper": config.protocols["paper"], "corrected": config.protocols["paper"]}}
    )
    table = table2(config, scored(tmp_path, probe(f1=0.3), probe(f1=0.6, protocol="corrected")))
    assert table.index.tolist() == [(p, g) for p in ("paper", "corrected") for g in ("pong", "boxing", "mean")]
    assert table["st-dim"].tolist() == pytest.approx([0.4, math.nan, 0.4, 0.7, math.nan, 0.7], nan_ok=True)


def test_table3_is_over_the_games_that_have_the_category(config, tmp_path):
    ball = {"f1": 0.8, "accuracy": 0.8}
    path = scored(tmp_path, probe("pong", f1=0.3), probe("boxing", categories={"small_object_localization": ball}))
    table = table3(config, path).set_index("category")
    assert table.index.tolist() == list(CATEGORIES)
    assert table.loc["small_object_localization", "st-dim"] == pytest.approx((0.3 + 0.8) / 2)
    assert table.loc["score_clock_lives_display", "st-dim"] == pytest.approx(0.5)  # of pong alone
    assert math.isnan(table.loc["misc", "st-dim"])
    assert table.loc["misc", "st-dim_paper"] == 0.75
    assert table["games"].tolist() == [2] * 5


def test_table3_has_nothing_for_a_method_that_lacks_a_game(config, tmp_path):
    table = table3(config, scored(tmp_path, probe("pong"), probe("boxing"), probe("pong", "maj-clf")))
    assert table["maj-clf"].isna().all()
    assert table["st-dim"].notna().sum() == 2


def test_no_scores_at_all_are_dashes(config, tmp_path):
    path = scored(tmp_path)
    assert table2(config, path)[list(config.methods)].isna().all(axis=None)
    assert table3(config, path)["games"].tolist() == [0] * 5
    assert figures.heat_map(config, read_scores(path))


def test_scores_of_another_label_set_are_refused(config, tmp_path):
    with pytest.raises(UserError, match="revised-2020, the configuration says paper-2019"):
        tables.write_tables(config, scored(tmp_path, probe(label_set="revised-2020")), REFERENCE, tmp_path)


# How tables are shown


def test_tables_are_written_the_same_twice_with_six_decimals_and_dashes(config, tmp_path):
    path = scored(tmp_path, probe("pong", f1=1 / 3), probe("pong", "global_t"))
    for folder in ("one", "two"):
        tables.write_tables(config, path, REFERENCE, tmp_path / folder)
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert files == sorted(f"{t}.{end}" for t in (tables.TABLE1, tables.TABLE2, tables.TABLE3) for end in ("csv", "tex"))
    for name in files:
        content = (tmp_path / "one" / name).read_text()
        assert content == (tmp_path / "two" / name).read_text()
        assert "nan" not in content.lower()
    assert (tmp_path / "one" / f"{tables.TABLE2}.csv").read_text() == (
        "policy,protocol,game,maj-clf,maj-clf_paper,st-dim,st-dim_paper,global_t,global_t_paper\n"
        "random_agent,paper,pong,,0.1,0.433333,0.81,0.6,\n"
        "random_agent,paper,boxing,,0.01,,0.58,,\n"
        "random_agent,paper,mean,,0.1,0.433333,0.81,0.6,\n"
    )
    shown = (tmp_path / "one" / f"{tables.TABLE2}.tex").read_text()
    assert r"Game & MAJ-CLF & ST-DIM & GLOBAL\_T \\" in shown
    assert r"pong & -- (0.10) & 0.43 (0.81) & 0.60 (--) \\" in shown
    assert r"boxing & -- (0.01) & -- (0.58) & -- \\" in shown
    assert r"Policy random\_agent, protocol paper" in shown
    assert "12000" not in shown
    assert "Frames: 100000 for encoders, 50000 for probes." in shown


def test_table2_reads_in_a_terminal(config, tmp_path):
    tables.write_tables(config, scored(tmp_path, probe("pong", f1=0.3)), REFERENCE, tmp_path)
    lines = [line.split() for line in tables.render_table2(tmp_path / f"{tables.TABLE2}.csv").splitlines()]
    assert lines[1] == ["MAJ-CLF", "ST-DIM", "GLOBAL_T"]
    assert lines[2] == ["pong", DASH, "(0.10)", "0.40", "(0.81)", DASH]
    assert lines[4][0] == "mean"


def test_the_caption_of_table3_says_when_the_published_values_are_not_comparable(config, tmp_path):
    few = tables.latex_f1_by_category(config, table3(config, scored(tmp_path, probe())), PUBLISHED)
    assert "Not comparable: the published values are means over other games (22) than ours (1)." in few
    assert "Small object localization" in few
    everything = config.model_copy(update={"games": Config.load(ROOT / "config.yaml").games})
    path = scored(tmp_path, *(probe(game) for game in everything.games))
    assert "Not comparable" not in tables.latex_f1_by_category(everything, table3(everything, path), PUBLISHED)


def test_latex_is_escaped():
    assert latex.escape("a_b & 5% {x} \\ ~^ #$") == (
        r"a\_b \& 5\% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{} \#\$"
    )


def test_every_category_has_a_name():
    assert list(CATEGORY_NAMES) == list(CATEGORIES)


def test_the_tables_compile_with_booktabs_alone(config, tmp_path):
    config = config.model_copy(update={"seeds": [0, 1]})
    tables.write_tables(config, scored(tmp_path, *(probe(seed=seed) for seed in config.seeds)), REFERENCE, tmp_path)
    names = [tables.TABLE1, tables.TABLE2, tables.TABLE3]
    for name in names:
        shown = (tmp_path / f"{name}.tex").read_text()
        assert [shown.count(rule) for rule in (r"\toprule", r"\bottomrule", r"\begin{table}", r"\end{table}")] == [1] * 4
        columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", shown)[1])
        assert {line.count(" & ") for line in shown.splitlines() if " & " in line} == {columns - 1}
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: the structure of the tables was checked, not that they compile")
    document = [r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage{booktabs}", r"\begin{document}"]
    document += [*(rf"\input{{{name}}}" for name in names), r"\end{document}"]
    (tmp_path / "all.tex").write_text("\n".join(document))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 0


# Figures


def test_figures_are_valid_and_the_same_twice(config, tmp_path):
    path = scored(tmp_path, probe("pong"))
    for folder in ("one", "two"):
        figures.write_figures(config, path, tmp_path / folder)
    for name, magic in ((f"{figures.HEAT_MAP}.pdf", b"%PDF-1."), (f"{figures.HEAT_MAP}.png", b"\x89PNG\r\n")):
        content = (tmp_path / "one" / name).read_bytes()
        assert content.startswith(magic)
        assert content == (tmp_path / "two" / name).read_bytes()
        assert b"matplotlib" not in content.lower()
        assert b"CreationDate" not in content
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [f"{figures.HEAT_MAP}.pdf", f"{figures.HEAT_MAP}.png"]


def test_the_heat_map_prints_values_and_dashes(config, tmp_path):
    config = config.model_copy(
        update={"protocols": {"paper": config.protocols["paper"], "corrected": config.protocols["paper"]}}
    )
    path = scored(tmp_path, probe("pong", f1=0.3), probe("boxing", "maj-clf", f1=0.8), probe("pong", protocol="corrected"))
    left, right, _ = figures.heat_map(config, read_scores(path)).axes  # and the colour bar
    assert [t.get_text() for t in left.texts] == [DASH, "0.40", DASH, "0.90", DASH, DASH]
    assert [t.get_color() for t in left.texts] == ["black", "white", "black", "black", "black", "black"]
    assert [t.get_text() for t in right.texts] == [DASH, "0.60", DASH, DASH, DASH, DASH]
    assert [t.get_text() for t in left.get_yticklabels()] == ["pong", "boxing"]
    assert [t.get_text() for t in left.get_xticklabels()] == ["MAJ-CLF", "ST-DIM", "GLOBAL_T"]
    assert (left.get_title(), right.get_title()) == ("random_agent, paper", "random_agent, corrected")


def test_over_seeds_of_one_seed_has_no_spread(config, tmp_path):
    mean, spread = aggregate.over_seeds(aggregate.by_game(config, read_scores(scored(tmp_path, probe()))))
    assert mean["st-dim"].notna().sum() == 1
    assert spread.isna().all(axis=None)
