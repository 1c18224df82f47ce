import itertools
import json
import math
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import needs

from workflow_src import artifacts, layout
from workflow_src.ari.labels import CATEGORIES, variables
from workflow_src.config.methods import Method
from workflow_src.config.reading import merge, read_yaml
from workflow_src.config.run import Config
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report import (
    aggregate,
    curves,
    figures,
    latex,
    ledger,
    reconstructions,
    scaling,
    tables,
)
from workflow_src.report.names import CATEGORY_NAMES, DASH
from workflow_src.report.scores import COLUMNS, ProbeFile, read_csv, read_scores, tidy, write_scores

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "reference"
TABLE2, TABLE3 = (name.format(metric="f1") for name in (tables.TABLE2, tables.TABLE3))
TABLES = [
    tables.TABLE1,
    *(
        name.format(metric=metric)
        for name in (tables.TABLE2, tables.TABLE3)
        for metric in tables.METRICS
    ),
    tables.IQM,
    tables.BY_PROBE,
    tables.REPRODUCTION,
]
PUBLISHED = set(Config.load(ROOT / "config.yaml").games)  # the 22 of the paper


@pytest.fixture
def config():
    """Two games, one protocol, three methods, one of which (in capitals GLOBAL_T) the paper does not have."""
    paper = Config.load(ROOT / "config.yaml")
    methods = {name: Method(kind="majority") for name in ("maj-clf", "st-dim", "global_t")}
    protocols = {"paper": paper.protocols["paper"]}
    return paper.model_copy(
        update={"games": ["pong", "boxing"], "methods": methods, "protocols": protocols}
    )


def probe(
    game="pong", method="st-dim", seed=0, f1=0.5, protocol="paper", readout="majority", **change
):
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
        "probe": readout,
        "variables": {
            "ball_x": {**ball, **about, "categories": ["small_object_localization"]},
            "player_score": {**score, **about, "categories": ["score_clock_lives_display"]},
        },
        "categories": {"small_object_localization": ball, "score_clock_lives_display": score},
        "mean_over_categories": {"f1": f1 + 0.1, "accuracy": f1 + 0.2},
        "mean_over_variables": {"f1": f1 + 0.1, "accuracy": f1 + 0.2},
        "mean_weighted": {"f1": f1 + 0.05, "accuracy": f1 + 0.15},
    } | change


def save(folder, *probes):
    """Write probes as the workflow names them; return their paths."""
    paths = []
    for p in probes:
        path = (
            folder
            / p["policy"]
            / p["protocol"]
            / p["method"]
            / p["probe"]
            / f"{p['game']}-s{p['seed']}.json"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(p))
        paths.append(path)
    return paths


def scored(folder, *probes):
    """The path of the scores of ``probes``."""
    write_scores(save(folder, *probes), folder / "scores.csv")
    return folder / "scores.csv"


def settings(**change):
    """The paper's configuration, changed."""
    return Config.check(merge(read_yaml(ROOT / "config.yaml"), change), "test")


def runs(config, values):
    """Scores (a frame) of the first methods: ``values`` are methods × games × seeds, F1 (mean over categories)."""
    found = [
        probe(
            game,
            method,
            seed,
            values[i, j, k] - 0.1,
            readout=config.methods[method].probe_names(config.probe.kinds)[0],
        )
        for (i, method), (j, game), (k, seed) in itertools.product(
            *map(enumerate, (list(config.methods)[: len(values)], config.games, config.seeds))
        )
    ]
    return tidy(ProbeFile.model_validate(one) for one in found)


def published(name, index):
    return read_csv(REFERENCE / name, text=[index]).set_index(index)


def table2(config, path):
    table = tables.by_game(config, read_scores(path), published(tables.REFERENCE2, "game"))
    return table.set_index(["protocol", "game"])


def table3(config, path):
    return tables.by_category(config, read_scores(path), published(tables.REFERENCE3, "category"))


# Scores


def test_scores_are_one_row_for_each_metric_whatever_the_order_of_the_files(tmp_path):
    paths = save(tmp_path, probe("pong", f1=0.1), probe("boxing", f1=0.3))
    write_scores(paths, tmp_path / "a.csv")
    write_scores(paths[::-1], tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    scores = read_scores(tmp_path / "a.csv")
    assert list(scores.columns) == COLUMNS
    assert len(scores) == 2 * (2 + 2 + 3) * 2  # probes, (variables, categories, means), metrics
    boxing = scores[scores["game"] == "boxing"].set_index(["level", "name", "metric"])["value"]
    assert boxing["variable", "ball_x", "f1"] == 0.3
    assert boxing["category", "score_clock_lives_display", "accuracy"] == 0.3 + 0.3
    assert (
        boxing["mean_over_categories", "", "f1"] == 0.3 + 0.1
    )  # to the last bit, after writing and reading
    assert boxing["mean_over_variables", "", "accuracy"] == 0.5


def test_headlines_are_f1_by_game_averaged_over_seeds(tmp_path):
    found = [
        probe("pong", seed=0, f1=0.1),
        probe("pong", seed=1, f1=0.2),
        probe("boxing", f1=0.5),
        probe("boxing", "other", f1=0.9),
    ]
    paths = save(tmp_path, *found)
    write_scores(paths, tmp_path / "a.csv", tmp_path / "metrics.json")
    methods = json.loads((tmp_path / "metrics.json").read_text())["random_agent"]["paper"]
    assert methods["st-dim"]["majority"] == {
        "pong": pytest.approx(0.25),
        "boxing": 0.6,
        "mean": pytest.approx((0.25 + 0.6) / 2),
    }
    assert methods["other"]["majority"] == {"boxing": 1.0, "mean": 1.0}


@pytest.mark.parametrize(
    "key",
    ["seed", "categories", "mean_over_categories.f1", "mean_weighted", "variables.ball_x.accuracy"],
)
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


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "null", json.dumps(probe(mean_over_categories={"f1": math.nan, "accuracy": 0}))],
)
def test_a_damaged_probe_is_refused(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DamagedFile, match=r"p\.json is damaged"):
        write_scores([tmp_path / "p.json"], tmp_path / "scores.csv")


def test_the_same_probe_twice_is_refused(tmp_path):
    one, two = save(tmp_path, probe()), save(tmp_path / "old", probe(f1=0.9))
    with pytest.raises(UserError, match="both of random_agent/paper/st-dim/majority/pong/0"):
        write_scores(one + two, tmp_path / "scores.csv")


def test_several_probes_of_one_encoder_are_kept_apart(tmp_path):
    scores = read_scores(
        scored(tmp_path, probe(readout="linear", f1=0.3), probe(readout="mlp", f1=0.5))
    )
    means = scores[(scores["level"] == "mean_weighted") & (scores["metric"] == "f1")].set_index(
        "probe"
    )["value"]
    assert means.to_dict() == {"linear": 0.3 + 0.05, "mlp": 0.5 + 0.05}


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\na,a,a,a,a,zero,a,a,a,f1,0.5\n"]
)
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
    pd.testing.assert_frame_equal(
        table.drop("paper_total"), reference[table.columns], check_dtype=False
    )
    assert table.loc["paper_total"].equals(table.loc["total"].rename("paper_total"))


def test_table1_totals_the_games_of_the_configuration(config):
    table = tables.variables_by_category(config, published(tables.REFERENCE1, "game")).set_index(
        "game"
    )
    assert list(table.index) == ["pong", "boxing", "total", "paper_total"]
    assert table["overall"].tolist() == [6, 7, 13, 308]


# Tables 2 and 3


def test_table2_has_ours_beside_the_published(config, tmp_path):
    path = scored(
        tmp_path, probe("pong", f1=0.3), probe("boxing", f1=0.5), probe("pong", "maj-clf", f1=0.0)
    )
    table = table2(config, path)
    assert table.index.tolist() == [("paper", "pong"), ("paper", "boxing"), ("paper", "mean")]
    assert table.columns.tolist() == [
        "policy",
        *(m + end for m in config.methods for end in ("", "_paper", "_difference")),
    ]
    assert table["st-dim"].tolist() == pytest.approx([0.4, 0.6, 0.5])
    assert table["st-dim_paper"].tolist() == pytest.approx(
        [0.81, 0.58, 0.695]
    )  # the mean over the same two games
    assert table["st-dim_difference"].tolist() == pytest.approx(
        [0.4 - 0.81, 0.6 - 0.58, 0.5 - 0.695]
    )
    assert table["maj-clf"].tolist() == pytest.approx(
        [0.1, math.nan, math.nan], nan_ok=True
    )  # lacks boxing: no mean
    assert table["global_t"].isna().all()
    assert table["global_t_paper"].isna().all()


def test_table2_mean_is_over_the_games_that_are_there(config, tmp_path):
    table = table2(
        config, scored(tmp_path, probe("pong", f1=0.3), probe("pong", "maj-clf", f1=0.0))
    )
    assert table["st-dim"].tolist() == pytest.approx([0.4, math.nan, 0.4], nan_ok=True)
    assert table["st-dim_paper"].tolist() == pytest.approx([0.81, 0.58, 0.81])


def test_table2_gives_the_published_mean_when_all_games_are_there(config, tmp_path):
    config = config.model_copy(
        update={
            "games": Config.load(ROOT / "config.yaml").games,
            "methods": {"vae": Method(kind="majority")},
        }
    )
    table = table2(config, scored(tmp_path, *(probe(game, "vae") for game in config.games)))
    assert table.loc[("paper", "mean"), "vae"] == pytest.approx(0.6)
    assert (
        table.loc[("paper", "mean"), "vae_paper"] == 0.40
    )  # the mean of the published values is 0.394


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
        update={
            "protocols": {
                "paper": config.protocols["paper"],
                "corrected": config.protocols["paper"],
            }
        }
    )
    table = table2(config, scored(tmp_path, probe(f1=0.3), probe(f1=0.6, protocol="corrected")))
    assert table.index.tolist() == [
        (p, g) for p in ("paper", "corrected") for g in ("pong", "boxing", "mean")
    ]
    assert table["st-dim"].tolist() == pytest.approx(
        [0.4, math.nan, 0.4, 0.7, math.nan, 0.7], nan_ok=True
    )


def test_table3_is_over_the_games_that_have_the_category(config, tmp_path):
    ball = {"f1": 0.8, "accuracy": 0.8}
    path = scored(
        tmp_path,
        probe("pong", f1=0.3),
        probe("boxing", categories={"small_object_localization": ball}),
    )
    table = table3(config, path).set_index("category")
    assert table.index.tolist() == list(CATEGORIES)
    assert table.loc["small_object_localization", "st-dim"] == pytest.approx((0.3 + 0.8) / 2)
    assert table.loc["score_clock_lives_display", "st-dim"] == pytest.approx(0.5)  # of pong alone
    assert math.isnan(table.loc["misc", "st-dim"])
    assert table.loc["misc", "st-dim_paper"] == 0.75
    assert table["games"].tolist() == [2] * 5


def test_table3_has_nothing_for_a_method_that_lacks_a_game(config, tmp_path):
    table = table3(
        config, scored(tmp_path, probe("pong"), probe("boxing"), probe("pong", "maj-clf"))
    )
    assert table["maj-clf"].isna().all()
    assert table["st-dim"].notna().sum() == 2


def test_no_scores_at_all_are_dashes(config, tmp_path):
    path = scored(tmp_path)
    assert table2(config, path)[list(config.methods)].isna().all(axis=None)
    assert table3(config, path)["games"].tolist() == [0] * 5
    figures.write_figures(config, path, tmp_path / "figures")
    tables.write_tables(config, path, REFERENCE, tmp_path / "tables")


def test_scores_of_another_label_set_are_refused(config, tmp_path):
    with pytest.raises(UserError, match="revised-2020, the configuration says paper-2019"):
        tables.write_tables(
            config, scored(tmp_path, probe(label_set="revised-2020")), REFERENCE, tmp_path
        )


# How tables are shown


def test_tables_are_written_the_same_twice_with_six_decimals_and_dashes(config, tmp_path):
    path = scored(tmp_path, probe("pong", f1=1 / 3), probe("pong", "global_t"))
    for folder in ("one", "two"):
        tables.write_tables(config, path, REFERENCE, tmp_path / folder)
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert files == sorted(f"{t}.{end}" for t in TABLES for end in ("csv", "tex"))
    for name in files:
        content = (tmp_path / "one" / name).read_text()
        assert content == (tmp_path / "two" / name).read_text()
        assert "nan" not in content.lower()
    assert (tmp_path / "one" / f"{TABLE2}.csv").read_text() == (
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
    tables.write_tables(config, scored(tmp_path, probe("pong", f1=0.3)), REFERENCE, tmp_path)
    lines = [line.split() for line in tables.render_table2(tmp_path / f"{TABLE2}.csv").splitlines()]
    assert lines[1] == ["MAJ-CLF", "ST-DIM", "GLOBAL_T"]
    assert lines[2] == ["pong", DASH, "(0.10)", "0.40", "(0.81)", DASH]
    assert lines[4][0] == "mean"


def test_the_caption_of_table3_says_when_the_published_values_are_not_comparable(config, tmp_path):
    few = tables.latex_by_category(
        config, table3(config, scored(tmp_path, probe())), "f1", PUBLISHED
    )
    assert (
        "Not comparable: the published values are means over other games (22) than ours (1)." in few
    )
    assert "Small object localization" in few
    everything = config.model_copy(update={"games": Config.load(ROOT / "config.yaml").games})
    path = scored(tmp_path, *(probe(game) for game in everything.games))
    assert "Not comparable" not in tables.latex_by_category(
        everything, table3(everything, path), "f1", PUBLISHED
    )


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
        return tables.latex_by_game(
            config, table2(config, scored(tmp_path / str(len(f1)), *found)).reset_index()
        )

    assert bold(
        shown(**{"maj-clf": 0.404, "st-dim": 0.412, "global_t": 0.39, "supervised": 0.9}), "pong"
    ) == [
        "MAJ-CLF",
        "ST-DIM",
    ]
    assert bold(shown(**{"maj-clf": 0.2, "st-dim": 0.412, "global_t": 0.39}), "pong") == ["ST-DIM"]
    assert (
        "Bold: the best of its row as shown, and what is within 0.01 of it, SUPERVISED aside, which learned from"
        in shown(supervised=0.5)
    )


def test_captions_name_protocol_label_set_frames_seeds_and_versions(config, tmp_path):
    tables.write_tables(config, scored(tmp_path, probe("pong")), REFERENCE, tmp_path)
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
            "Seeds: 0.",
            f"Versions: workflow-src {version('workflow-src')}, ale-py {version('ale-py')}, torch 2.",
        ):
            assert part in caption, name


def test_accuracies_have_tables_of_their_own_without_published_values(config, tmp_path):
    tables.write_tables(config, scored(tmp_path, probe("pong", f1=0.3)), REFERENCE, tmp_path)
    table = pd.read_csv(tmp_path / "table2_accuracy_by_game.csv").set_index("game")
    assert table["st-dim"].tolist() == pytest.approx([0.5, math.nan, 0.5], nan_ok=True)
    assert table["st-dim_paper"].isna().all()
    assert pd.read_csv(tmp_path / "table3_accuracy_by_category.csv")["st-dim"][0] == pytest.approx(
        0.4
    )
    shown = (tmp_path / "table2_accuracy_by_game.tex").read_text()
    assert "Probe accuracy by game" in shown
    assert "No values were published." in shown
    assert "Difference" not in shown


# Table 4, and Pong's reproduction


@pytest.mark.parametrize(("game", "published"), [("boxing", 0.92), ("pong", None)])
def test_table4_has_every_variable_of_any_game(config, tmp_path, game, published):
    name = "clock" if game == "boxing" else "ball_x"
    value = {"f1": 0.5, "accuracy": 0.6}
    path = scored(
        tmp_path,
        probe(game, variables={name: value}),
        probe("boxing" if game == "pong" else "pong", f1=0.9),
    )
    tables.write_table4(config, game, path, REFERENCE, tmp_path / game)
    table = pd.read_csv(tmp_path / f"{game}.csv").set_index("variable")
    assert table.index.tolist() == list(variables("paper-2019", game))
    assert table["st-dim"].dropna().to_dict() == {name: 0.5}
    assert table["st-dim_paper"].get(name) == pytest.approx(published or math.nan, nan_ok=True)
    shown = (tmp_path / f"{game}.tex").read_text()
    assert ("Published (arXiv" in shown) == (published is not None)
    assert r"& \textbf{0.50} &" in shown


def test_pong_stands_beside_the_reproduction_report(config, tmp_path):
    balls = {"small_object_localization": {"f1": 0.5, "accuracy": 0.25}}
    found = [probe("pong", method, categories=balls, f1=0.3) for method in ("st-dim", "maj-clf")]
    path = scored(tmp_path, *found, *(probe("boxing", method) for method in ("st-dim", "maj-clf")))
    tables.write_tables(config, path, REFERENCE, tmp_path)
    table = pd.read_csv(tmp_path / "reproduction_pong.csv")
    assert table.columns.tolist() == [
        *("policy", "protocol", "metric", "category"),
        *("st-dim", "st-dim_report", "st-dim_difference"),  # the report has no maj-clf
    ]
    table = table.set_index(["metric", "category"])
    assert table.loc[("f1", "small_object_localization"), "st-dim":].tolist() == pytest.approx(
        [0.5, 0.60, -0.1]
    )
    assert table.loc[
        ("accuracy", "small_object_localization"), "st-dim":
    ].tolist() == pytest.approx([0.25, 0.58, -0.33])
    assert table.loc[("f1", "mean"), "st-dim":].tolist() == pytest.approx([0.4, 0.65, -0.25])
    assert math.isnan(table.loc[("f1", "agent_localization"), "st-dim"])
    shown = (tmp_path / "reproduction_pong.tex").read_text()
    assert "F1: The report" in shown
    assert "Accuracy: Difference" in shown


def test_other_labels_than_the_published_are_said_not_to_compare(config, tmp_path):
    config = config.model_copy(update={"label_set": "revised-2020"})
    path = scored(tmp_path, *(probe(game, label_set="revised-2020") for game in config.games))
    tables.write_tables(config, path, REFERENCE, tmp_path / "out")
    for name in (TABLE2, TABLE3, tables.REPRODUCTION):
        assert (
            "Not comparable: ours are of label set revised-2020"
            in (tmp_path / "out" / f"{name}.tex").read_text()
        )
    assert "Not comparable" not in (tmp_path / "out" / "table2_accuracy_by_game.tex").read_text()


def test_without_pong_there_is_no_reproduction(config, tmp_path):
    boxing = config.model_copy(update={"games": ["boxing"]})
    tables.write_tables(boxing, scored(tmp_path, probe("boxing")), REFERENCE, tmp_path / "out")
    assert not (tmp_path / "out" / "reproduction_pong.csv").exists()


def test_latex_is_escaped():
    assert latex.escape("a_b & 5% {x} \\ ~^ #$") == (
        r"a\_b \& 5\% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{} \#\$"
    )


def test_every_category_has_a_name():
    assert list(CATEGORY_NAMES) == list(CATEGORIES)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_the_tables_compile_with_booktabs_alone_and_fit_a_page(tmp_path, seeds):
    config = settings(seeds=seeds, probe={"kinds": ["linear", "mlp"]})
    assert len(config.methods) == 12
    found = [
        probe(game, method, seed, protocol=protocol, readout=readout)
        for protocol, method, game, seed in itertools.product(
            config.protocols, config.methods, config.games, seeds
        )
        for readout in config.methods[method].probe_names(config.probe.kinds)
    ]
    variants = [*ledger_probes(config)]
    for name, probes in (("scores", found), ("ledger", variants)):
        rows = tidy(map(ProbeFile.model_validate, probes))
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    tables.write_tables(config, tmp_path / "scores.csv", REFERENCE, tmp_path)
    tables.write_table4(config, "boxing", tmp_path / "scores.csv", REFERENCE, tmp_path / "boxing")
    tables.write_table4(
        config, "breakout", tmp_path / "scores.csv", REFERENCE, tmp_path / "breakout"
    )
    ledger.write_ledger(config, tmp_path / "ledger.csv", tmp_path / "tables", tmp_path / "figures")
    (tmp_path / "tables" / "ledger.tex").rename(tmp_path / "ledger.tex")
    names = [*TABLES, "boxing", "breakout", ledger.LEDGER]
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
        if (
            name == TABLE2
        ):  # every method, in the configuration's order; with a spread there is room for half of them
            assert {len(columns) for columns, _ in tabulars} == {13 if len(seeds) == 1 else 7}
            # Two protocols, what was published, and two differences.
            assert all(shown.count(f"{game} & ") == len(seeds) * 5 for game in config.games)
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
    shown = latex.table("t", "C.", ["Game", "A"], [latex.Part("", [["pong", "0.5"]], [])])
    assert shown.count(r"\begin{tabular}{lr}") == shown.count(r"\begin{table}") == 1
    assert r"\small" in shown


def test_blocks_that_do_not_fit_a_page_go_on_in_a_float_of_the_same_number():
    parts = [latex.Part(f"part {i}", [["pong", "0.5"]] * 30, []) for i in range(3)]
    shown = latex.table("t", "C.", ["Game", "A"], parts)
    assert shown.count(r"\begin{table}") == 3
    assert shown.count(r"\addtocounter{table}{-1}") == 2
    assert [shown.count(f"part {i}") for i in range(3)] == [1, 1, 1]


# Probes beside the first


def test_the_papers_tables_and_figures_show_the_first_probe_alone(tmp_path):
    config = settings(
        games=["pong"],
        probe={"kinds": ["linear", "mlp"]},
        protocols={"corrected": None},
        ledger=None,
    )
    config = config.model_copy(
        update={"methods": {m: config.methods[m] for m in ("maj-clf", "st-dim")}}
    )
    mixed = [
        probe(method="maj-clf", f1=0.0),
        probe(readout="linear", f1=0.3),
        probe(readout="mlp", f1=0.6),
    ]
    other = probe(readout="linear", f1=0.9, protocol="paper-q5")  # of the ledger
    scores = read_scores(scored(tmp_path, *mixed, other))
    assert aggregate.by_game(config, scores).to_numpy().tolist() == [pytest.approx([0.1, 0.4])]
    assert set(aggregate.values(config, scores, "category", "f1").index.unique("protocol")) == {
        "paper"
    }
    swapped = config.model_copy(
        update={"probe": config.probe.model_copy(update={"kinds": ["mlp"]})}
    )
    assert aggregate.by_game(swapped, scores).to_numpy().tolist() == [pytest.approx([0.1, 0.7])]
    assert aggregate.interquartile_means(config, scores)["iqm"].tolist() == pytest.approx(
        [0.1, 0.4]
    )


def test_f1_by_probe_has_every_probe_and_mean(tmp_path):
    config = settings(games=["pong", "boxing"], seeds=[0, 1], probe={"kinds": ["linear", "mlp"]})
    config = config.model_copy(
        update={"methods": {m: config.methods[m] for m in ("maj-clf", "st-dim")}}
    )
    found = [
        probe(game, seed=seed, readout="linear", f1=f)
        for game, seed, f in zip(
            ["pong", "boxing"] * 2, [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], strict=True
        )
    ]
    found += [probe(seed=seed, readout="mlp") for seed in (0, 1)]  # lacks a game
    table = tables.f1_by_probe(config, read_scores(scored(tmp_path, *found)))
    assert table.columns.tolist() == [
        "policy",
        "protocol",
        "method",
        "probe",
        *aggregate.MEANS,
        "games",
    ]
    rows = [("maj-clf", "majority"), ("st-dim", "linear"), ("st-dim", "mlp")]
    assert [*zip(table["method"], table["probe"], strict=True)] == rows * 2
    assert table.loc[1, [*aggregate.MEANS, "games"]].tolist() == pytest.approx([0.35, 0.35, 0.3, 2])
    assert table.loc[[0, 2, 3, 4, 5], [*aggregate.MEANS]].isna().all(axis=None)
    assert table["games"].tolist() == [2] * 3 + [0] * 3
    shown = tables.latex_f1_by_probe(config, table)
    assert r"ST-DIM & linear & 0.35 & 0.35 & 0.30 & 2 \\" in shown
    assert r" & one hidden layer & -- & -- & -- & 2 \\" in shown


# Interquartile means


def plain_iqm(values):
    """Sort, cut a quarter (rounded down) from either end, average."""
    ordered = sorted(np.ravel(values).tolist())
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


@pytest.mark.parametrize(
    ("games", "seeds"), [(1, 1), (1, 2), (1, 3), (2, 2), (5, 1), (3, 3), (22, 2), (7, 5)]
)
def test_the_interquartile_mean_is_that_of_a_plain_loop(games, seeds):
    config = settings(games=sorted(PUBLISHED)[:games], seeds=list(range(seeds)))
    values = np.random.default_rng(games).uniform(0.1, 1, (2, games, seeds))
    found = (
        aggregate.interquartile_means(config, runs(config, values))
        .query("protocol == 'paper'")
        .droplevel([0, 1])
    )
    for method, scores in zip(config.methods, values, strict=False):
        iqm, low, high = found.loc[method]
        assert iqm == pytest.approx(plain_iqm(scores))
        assert math.isnan(low) == math.isnan(high) == (seeds == 1)
        assert seeds == 1 or low <= high
    assert found.iloc[2:].isna().all(axis=None)


def test_the_interval_is_that_of_a_plain_bootstrap_within_games():
    config = settings(games=sorted(PUBLISHED)[:6], seeds=[0, 1, 2, 3])
    draw = np.random.default_rng(0)
    # Games differ far more than seeds: were runs drawn without strata, the interval would be
    # several times as wide.
    values = np.linspace(0.2, 0.8, 6)[:, None] + draw.normal(0, 0.03, (6, 4))
    found = aggregate.interquartile_means(config, runs(config, values[None])).loc[
        ("random_agent", "paper", "maj-clf")
    ]
    means = []
    for _ in range(4000):
        means.append(plain_iqm([[game[draw.integers(4)] for _ in range(4)] for game in values]))
    low, high = np.quantile(means, [0.025, 0.975])
    assert high - low < 0.1
    assert found["low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert found["high"] == pytest.approx(high, abs=0.1 * (high - low))


def test_interquartile_means_are_the_same_twice_and_whatever_the_other_methods():
    config = settings(games=["pong", "boxing"], seeds=[0, 1, 2])
    scores = runs(config, np.random.default_rng(0).uniform(0.1, 1, (3, 2, 3)))
    once, twice = (aggregate.interquartile_means(config, scores) for _ in range(2))
    pd.testing.assert_frame_equal(once, twice, check_exact=True)
    fewer = config.model_copy(update={"methods": {"vae": config.methods["vae"]}})
    assert (
        aggregate.interquartile_means(fewer, scores)
        .iloc[0]
        .equals(once.loc[("random_agent", "paper", "vae")])
    )


def test_unequal_runs_are_named(tmp_path):
    config = settings(games=["pong", "boxing"], seeds=[0, 1, 2])
    scores = runs(config, np.full((2, 2, 3), 0.5))
    lost = (scores["method"] == "random-cnn") & (scores["game"] == "pong") & (scores["seed"] == 1)
    with pytest.raises(UserError, match=r"lack: random-cnn/pong/seed 1 \(random_agent, paper\)$"):
        aggregate.interquartile_means(config, scores[~lost])
    lost = (scores["method"] == "random-cnn") & ~(
        (scores["game"] == "pong") & (scores["seed"] == 1)
    )
    with pytest.raises(
        UserError,
        match=r"random-cnn/pong/seed 0 .*/seed 2 .*random-cnn/boxing/seed 0 \(.*\) and 2 more$",
    ):
        aggregate.interquartile_means(config, scores[~lost])


def test_the_table_of_interquartile_means_has_intervals_of_several_seeds_alone():
    for seeds in ([0], [0, 1]):
        config = settings(games=["pong", "boxing"], seeds=seeds)
        table = tables.interquartile_means(config, runs(config, np.full((1, 2, len(seeds)), 0.5)))
        assert table.columns.tolist() == ["policy", "protocol", "method", "iqm", "low", "high"]
        shown = tables.latex_interquartile_means(config, table)
        assert (
            r"MAJ-CLF & 0.50 & -- \\" if len(seeds) == 1 else r"MAJ-CLF & 0.50 & [0.50, 0.50] \\"
        ) in shown
        assert r"VAE & -- & -- \\" in shown
        assert ("a single seed has none" in shown) == (len(seeds) == 1)


# The ledger


def ledger_probes(config, f1=lambda protocol, method, game, seed: 0.5):
    """The ledger's probes; ``f1`` is the mean over categories."""
    protocols = [
        config.ledger.base,
        *(variant.protocol for variant in config.derived.ledger.variants),
    ]
    for row in itertools.product(protocols, config.ledger.methods, config.games, config.seeds):
        protocol, method, game, seed = row
        readout = config.methods[method].probe_names(config.probe.kinds)[0]
        yield probe(game, method, seed, f1(*row) - 0.1, protocol, readout)


def worth(protocol, method, game, seed):
    """Q5 gains ST-DIM 0.1 in pong and 0.2 in boxing, and another 0.02 with seed 1; nothing else matters."""
    gain = {"pong": 0.1, "boxing": 0.2}[game] + 0.02 * seed
    return 0.3 + 0.05 * seed + (gain if (protocol, method) == ("paper-q5", "st-dim") else 0)


def test_the_ledger_is_the_difference_to_the_base(tmp_path):
    config = settings(games=["pong", "boxing"], seeds=[0, 1])
    path = scored(tmp_path, *ledger_probes(config, worth))
    for folder in ("one", "two"):
        ledger.write_ledger(config, path, tmp_path / folder, tmp_path / folder)
    for end in ("csv", "tex", "pdf", "png"):
        name = f"{ledger.LEDGER}.{end}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    table = read_csv(
        tmp_path / "one" / "ledger.csv",
        text=["policy", "quirk", "protocol", "switches", "method", "game"],
    )
    quirks = ["Q1", "Q2", "Q4", "Q5", "Q6", "Q7", "Q8", "Q11", "Q12"]
    assert (
        table["quirk"].unique().tolist()
        == quirks
        == [variant.quirk for variant in config.derived.ledger.variants]
    )
    assert len(table) == len(quirks) * 2 * 3
    q5 = table[(table["quirk"] == "Q5") & (table["method"] == "st-dim")].set_index("game")
    assert q5.index.tolist() == ["pong", "boxing", "mean"]
    assert q5["base"].tolist() == pytest.approx([0.325] * 3)
    assert q5["variant"].tolist() == pytest.approx([0.435, 0.535, 0.485])
    assert q5["difference"].tolist() == pytest.approx([0.11, 0.21, 0.16])
    assert q5["difference_std"].tolist() == pytest.approx([0.02 / 2**0.5] * 3, abs=1e-6)
    assert (table["protocol"] == [f"paper-{quirk.lower()}" for quirk in table["quirk"]]).all()
    others = table.drop(table.index[(table["quirk"] == "Q5") & (table["method"] == "st-dim")])
    assert others["difference"].abs().max() < 1e-9
    assert table.loc[table["quirk"] == "Q8", "switches"].iloc[0] == "entropy_of, min_episode_frames"
    shown = (tmp_path / "one" / "ledger.tex").read_text()
    assert r" &  & ST-DIM & 0.325 & 0.485 & +0.160{\tiny$\pm$}0.014 \\" in shown
    assert r"Not tested, because both protocols have the same setting: Q9 (lr 0.0003). " in shown


def test_the_figure_of_the_ledger_has_a_colour_for_a_method(tmp_path):
    config = settings(games=["pong", "boxing"], seeds=[0])
    table = ledger.quirks(config, read_scores(scored(tmp_path, *ledger_probes(config, worth))))
    assert table["difference_std"].isna().all()
    (axes,) = ledger.differences(config, table).axes
    cnn, dim = (line for line in axes.lines if line.get_label() in ("RANDOM-CNN", "ST-DIM"))
    assert cnn.get_xdata() == pytest.approx([0] * 9)
    assert dim.get_xdata() == pytest.approx([0, 0, 0, 0.15, 0, 0, 0, 0, 0])
    assert cnn.get_color() != dim.get_color()
    assert [text.get_text() for text in axes.get_yticklabels()][:2] == [
        "Q1 shuffle_episodes",
        "Q2 noop",
    ]


def test_missing_variants_are_named(tmp_path):
    config = settings(games=["pong"], seeds=[0])
    there = [p for p in ledger_probes(config) if p["protocol"] not in ("paper-q4", "paper-q12")]
    named = "paper-q4/random-cnn/pong/seed 0 .*paper-q4/st-dim/pong/seed 0 .*paper-q12/random-cnn/pong/seed 0 .* and 1 more"
    with pytest.raises(UserError, match=named):
        ledger.write_ledger(config, scored(tmp_path, *there), tmp_path, tmp_path)
    assert not (tmp_path / "ledger.csv").exists()


@pytest.mark.parametrize("change", [{"ledger": None}, {"ledger": {"target": "paper"}}])
def test_a_configuration_without_a_ledger_is_refused(tmp_path, change):
    with pytest.raises(UserError, match="name a base and a target that differ"):
        ledger.write_ledger(settings(**change), scored(tmp_path), tmp_path, tmp_path)


# Scaling


def grown(**change):
    """A configuration with a scaling study of two games, and scores that grow with the frames."""
    config = settings(
        games=["pong", "boxing"], scaling={"percent": [50, 10], "methods": ["st-dim"]}, **change
    )
    found = [
        probe(
            game,
            f1=percent / 200 + 0.1 * (game == "pong") + seed / 50,
            seed=seed,
            protocol=protocol,
            readout="linear",
        )
        for protocol, percent in (config.derived.scaling.percents | {"paper": 100}).items()
        for game in config.games
        for seed in config.seeds
    ]
    return config, found


def test_scaling_is_f1_by_frames(tmp_path):
    config, found = grown(seeds=[0, 1])
    for folder in ("one", "two"):
        scaling.write_scaling(
            config, scored(tmp_path, *found), tmp_path / folder, tmp_path / folder
        )
    table = pd.read_csv(tmp_path / "one" / "scaling.csv")
    assert table["game"].drop_duplicates().tolist() == ["pong", "boxing", "mean"]
    mean = table[table["game"] == "mean"]
    assert mean["percent"].tolist() == [10, 50, 100]  # in order, all frames last
    assert mean["frames"].tolist() == [10_000, 50_000, 100_000]
    assert mean["f1"].tolist() == pytest.approx(
        [0.1 + percent / 200 + 0.05 + 0.01 for percent in (10, 50, 100)]
    )
    assert mean["f1_std"].tolist() == pytest.approx([0.02 / 2**0.5] * 3, abs=1e-6)
    shown = (tmp_path / "one" / "scaling.tex").read_text()
    assert all(part in shown for part in ("10,000", r"(10 \%)", "100,000", r"(100 \%)"))
    assert r"Mean & 0.21{\tiny$\pm$}0.01 & 0.41" in shown
    for end in ("csv", "tex", "pdf", "png"):
        assert (tmp_path / "one" / f"scaling.{end}").read_bytes() == (
            tmp_path / "two" / f"scaling.{end}"
        ).read_bytes()


def test_the_figure_of_scaling_has_the_mean_and_each_game(tmp_path):
    config, found = grown()
    (axes,) = scaling.growth(
        config, scaling.by_frames(config, read_scores(scored(tmp_path, *found)))
    ).axes
    lines = [tuple(line.get_ydata()) for line in axes.lines]
    assert len(lines) == 2 + 1
    assert lines[-1] == pytest.approx([0.2, 0.4, 0.65])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10,000", "50,000", "100,000"]


def test_missing_parts_of_scaling_are_named(tmp_path):
    config, found = grown()
    few = [one for one in found if (one["protocol"], one["game"]) != ("paper-p10", "boxing")]
    with pytest.raises(
        UserError,
        match=r"scaling needs .*; missing are paper-p10/st-dim/boxing/seed 0 \(random_agent\)$",
    ):
        scaling.write_scaling(config, scored(tmp_path, *few), tmp_path / "out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="has no scaling: name a base, percents and methods"):
        scaling.write_scaling(
            settings(scaling=None), scored(tmp_path), tmp_path / "out", tmp_path / "out"
        )


# Figures


def check_figures(one, two, names):
    """Each is a valid PDF and PNG, twice the same, and says nothing of when and by what it was made."""
    for name, (end, magic) in itertools.product(
        names, (("pdf", b"%PDF-1."), ("png", b"\x89PNG\r\n"))
    ):
        content = (one / f"{name}.{end}").read_bytes()
        assert content.startswith(magic)
        assert content == (two / f"{name}.{end}").read_bytes()
        assert b"matplotlib" not in content.lower()
        assert b"CreationDate" not in content
    assert sorted(p.name for p in one.iterdir()) == sorted(
        f"{name}.{end}" for name in names for end in ("pdf", "png")
    )


@pytest.mark.parametrize(
    "change", [{}, {"games": ["boxing"], "methods": {"dim": None, "st-dim": None}}]
)
def test_the_files_of_the_layout_are_those_that_are_written(tmp_path, change):
    config = settings(
        **({"games": ["pong"]} | change), ledger=None, scaling=None, protocols={"corrected": None}
    )
    found = [
        probe(config.games[0], method, readout=readout)
        for method, row in config.methods.items()
        for readout in row.probe_names(config.probe.kinds)
    ]
    path = scored(tmp_path, *found)
    tables.write_tables(config, path, REFERENCE, tmp_path / "tables")
    figures.write_figures(config, path, tmp_path / "figures")
    curves.write_learning_curves(config, [], tmp_path / "figures" / curves.CURVES)
    for folder, files in (("tables", layout.tables(config)), ("figures", layout.figures(config))):
        assert sorted(
            f"results/{folder}/{p.name}" for p in (tmp_path / folder).iterdir()
        ) == sorted(files)


def test_figures_are_valid_and_the_same_twice(config, tmp_path):
    path = scored(tmp_path, probe("pong"))
    for folder in ("one", "two"):
        figures.write_figures(config, path, tmp_path / folder)
    check_figures(
        tmp_path / "one", tmp_path / "two", [figures.HEAT_MAP, figures.CATEGORIES, figures.IQM]
    )


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_the_figure_of_interquartile_means_has_points_intervals_and_dashes(seeds):
    config = settings(games=["pong", "boxing"], seeds=seeds)
    scores = runs(config, np.random.default_rng(0).uniform(0.1, 1, (2, 2, len(seeds))))
    found = (
        aggregate.interquartile_means(config, scores).query("protocol == 'paper'").droplevel([0, 1])
    )
    figure = figures.interquartile_means(config, scores)
    (axes,) = figure.axes
    points = next(line for line in axes.lines if line.get_label() == "paper")
    assert points.get_xdata()[:2] == pytest.approx(found["iqm"].iloc[:2])
    segments = [s for s in axes.collections[0].get_segments() if np.isfinite(s).all() and len(s)]
    assert [tuple(s[:, 0]) for s in segments] == [
        pytest.approx(row) for row in found[["low", "high"]].dropna().to_numpy()
    ]
    assert [text.get_text() for text in axes.texts] == [DASH] * (
        10 + 12
    )  # ten methods, and all of the other protocol
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        method.upper() for method in config.methods
    ]
    assert ("one seed, so no intervals" in figure.get_supxlabel()) == (len(seeds) == 1)


def history(folder, method, game, losses, protocol="paper", seed=0):
    """Write a training's history, (train, validation) losses by epoch; return its path."""
    path = folder / "random_agent" / protocol / method / f"{game}-s{seed}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{epoch},{train},{val},1\n" for epoch, (train, val) in enumerate(losses))
    path.write_text("epoch,train_loss,val_loss,val_global\n" + rows if losses else "epoch\n")
    return path


def test_learning_curves_are_a_panel_for_each_method_that_learns(tmp_path):
    config = settings()
    paths = [
        history(tmp_path, "random-cnn", "pong", []),
        history(tmp_path, "st-dim", "pong", [(4, 5), (2, 3)]),
        history(tmp_path, "st-dim", "boxing", [(6, 7), (3, 4), (2, 4)]),
        history(tmp_path, "vae", "pong", [(100, 100), (2, 3)]),
        history(tmp_path, "vae", "pong", [(4, 5), (2, 3)], "corrected"),
    ]
    for folder in ("one", "two"):
        curves.write_learning_curves(config, paths, tmp_path / folder / curves.CURVES)
    check_figures(tmp_path / "one", tmp_path / "two", [curves.CURVES])
    figure = curves.learning_curves(
        config, [(path.parts[-4:-1], curves.read_history(path)) for path in paths]
    )
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == [
        "VAE\npaper",
        "VAE\ncorrected",
        "ST-DIM\npaper",
    ]
    assert [axes.get_yscale() for axes in panels] == ["log", "linear", "linear"]
    drawn = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in panels[2].lines]
    assert drawn == [
        ([0, 1], [4, 2]),
        ([0, 1, 2], [6, 3, 2]),
        ([0, 1], [5, 3]),
        ([0, 1, 2], [7, 4, 4]),
    ]


def test_learning_curves_of_nothing_that_learns_say_so(config, tmp_path):
    curves.write_learning_curves(
        config, [history(tmp_path, "st-dim", "pong", [])], tmp_path / "out" / curves.CURVES
    )
    assert (tmp_path / "out" / "learning_curves.png").exists()
    assert curves.learning_curves(config, []).get_supxlabel() == "No method of this run learns"


def test_histories_that_are_damaged_or_of_another_run_are_refused(config, tmp_path):
    path = history(tmp_path, "st-dim", "pong", [(4, 5)])
    with pytest.raises(
        UserError, match="random_agent/other/st-dim, which the configuration does not name"
    ):
        curves.write_learning_curves(
            config, [history(tmp_path, "st-dim", "pong", [(4, 5)], "other")], tmp_path
        )
    path.write_text("epoch,train_loss\n0,1\n")
    with pytest.raises(
        DamagedFile, match=r"pong-s0\.csv is damaged \(it lacks the column val_loss\)"
    ):
        curves.write_learning_curves(config, [path], tmp_path)


def examples(folder, method, protocol="paper", game="pong"):
    """Write one method's examples: targets of one grey each, outputs a little brighter."""
    target = np.broadcast_to(np.arange(0, 180, 30, dtype=np.uint8)[:, None, None], (6, 210, 160))
    header = {"game": game, "method": method, "protocol": protocol}
    path = folder / f"{method}-{protocol}-{game}.safetensors"
    artifacts.write_arrays(
        path,
        "examples",
        {"input": target, "target": target, "output": target + np.uint8(5)},
        header,
    )
    return path


def test_reconstructions_are_targets_above_outputs(tmp_path):
    paths = [examples(tmp_path, "vae"), examples(tmp_path, "pixel-pred")]
    for folder in ("one", "two"):
        reconstructions.write_reconstructions(paths, tmp_path / folder / "reconstructions_pong")
    check_figures(tmp_path / "one", tmp_path / "two", ["reconstructions_pong"])
    figure = reconstructions.reconstructions(
        [artifacts.read_arrays(path, "examples") for path in paths]
    )
    assert [part.get_suptitle() for part in figure.subfigs] == ["VAE", "PIXEL-PRED"]
    shown = [int(axes.images[0].get_array()[0, 0]) for axes in figure.subfigs[0].axes]
    assert shown == [0, 30, 60, 90, 120, 150, 5, 35, 65, 95, 125, 155]
    assert [axes.get_ylabel() for axes in figure.subfigs[0].axes[::6]] == ["target", "output"]


def test_reconstructions_of_several_games_or_of_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="several games"):
        reconstructions.write_reconstructions(
            [examples(tmp_path, "vae"), examples(tmp_path, "vae", game="boxing")], tmp_path / "f"
        )
    with pytest.raises(UserError, match="no examples"):
        reconstructions.write_reconstructions([], tmp_path / "f")


def test_ablations_are_bars_by_category_and_over_all(tmp_path):
    config = settings(games=["pong", "boxing"], protocols={"corrected": None}, ledger=None)
    assert layout.ablated(config) == [
        "dim",
        "global-t-dim",
        "global-local-t-dim",
        "jsd-st-dim",
        "st-dim",
    ]
    found = [
        probe(game, method, f1=f1, readout="linear")
        for game in config.games
        for method, f1 in (("dim", 0.1), ("st-dim", 0.5))
    ]
    path = scored(tmp_path, *found)
    figure = figures.ablations(config, read_scores(path))
    (axes,) = figure.axes
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in axes.containers}
    nan = math.nan
    assert heights["ST-DIM"] == pytest.approx([0.5, nan, nan, 0.7, nan, 0.6], nan_ok=True)
    assert heights["DIM"] == pytest.approx([0.1, nan, nan, 0.3, nan, 0.2], nan_ok=True)
    assert [t.get_text() for t in axes.texts].count(DASH) == 3 * 2 + 6 * 3
    few = config.model_copy(update={"methods": {m: config.methods[m] for m in ("dim", "vae")}})
    assert layout.ablated(few) == []
    for folder in ("one", "two"):
        figures.write_figures(config, path, tmp_path / folder)
    names = [figures.HEAT_MAP, figures.CATEGORIES, figures.IQM, figures.ABLATIONS]
    check_figures(tmp_path / "one", tmp_path / "two", names)


def test_the_heat_map_prints_values_and_dashes(config, tmp_path):
    config = config.model_copy(
        update={
            "protocols": {
                "paper": config.protocols["paper"],
                "corrected": config.protocols["paper"],
            }
        }
    )
    path = scored(
        tmp_path,
        probe("pong", f1=0.3),
        probe("boxing", "maj-clf", f1=0.8),
        probe("pong", protocol="corrected"),
    )
    mean, _ = aggregate.over_seeds(aggregate.by_game(config, read_scores(path)))
    left, right, _ = figures.heat_map(config, mean, config.games).axes  # and the colour bar
    assert [t.get_text() for t in left.texts] == [DASH, "0.40", DASH, "0.90", DASH, DASH]
    assert [t.get_color() for t in left.texts] == [
        "black",
        "white",
        "black",
        "black",
        "black",
        "black",
    ]
    assert [t.get_text() for t in right.texts] == [DASH, "0.60", DASH, DASH, DASH, DASH]
    assert [t.get_text() for t in left.get_yticklabels()] == ["pong", "boxing"]
    assert [t.get_text() for t in left.get_xticklabels()] == ["MAJ-CLF", "ST-DIM", "GLOBAL_T"]
    assert (left.get_title(), right.get_title()) == (
        "random_agent, paper",
        "random_agent, corrected",
    )


def test_over_seeds_of_one_seed_has_no_spread(config, tmp_path):
    mean, spread = aggregate.over_seeds(
        aggregate.by_game(config, read_scores(scored(tmp_path, probe())))
    )
    assert mean["st-dim"].notna().sum() == 1
    assert spread.isna().all(axis=None)
