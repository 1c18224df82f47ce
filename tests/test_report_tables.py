"""Tables from scores, by hand: Tables 1 to 4, interquartile means, kinds of probes, the
reproduction of Pong.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scored import REFERENCE, ROOT, data_of, few_methods, probe, run_data, scored, settings

from workflow_src.ari.labels import CATEGORIES, variables
from workflow_src.config.methods import Method
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.report import aggregate
from workflow_src.report.data import Data, read_data
from workflow_src.report.figures.write import write_figures
from workflow_src.report.tables import (
    by_category,
    by_game,
    by_variable,
    f1_by_probe,
    iqm,
    variables_by_category,
)
from workflow_src.report.tables.write import write_tables, write_variables

NO_SCORES = Data(pd.DataFrame(), REFERENCE)


@pytest.fixture
def config():
    return few_methods()


def table2(config, data):
    return by_game.table(config, data).set_index(["protocol", "game"])


def table3(config, data):
    return by_category.table(config, data)


def test_table1_is_the_published_one():
    config = Config.load(ROOT / "config.yaml")
    reference = NO_SCORES.published(variables_by_category.PUBLISHED, "game")
    table = variables_by_category.table(config, NO_SCORES).set_index("game")
    assert list(table.columns) == [*CATEGORIES, "overall"]
    assert len(table) == 22 + 2
    pd.testing.assert_frame_equal(
        table.drop("paper_total"), reference[table.columns], check_dtype=False
    )
    assert table.loc["paper_total"].equals(table.loc["total"].rename("paper_total"))


def test_table1_totals_the_games_of_the_configuration(config):
    table = variables_by_category.table(config, NO_SCORES).set_index("game")
    assert list(table.index) == ["pong", "boxing", "total", "paper_total"]
    assert table["overall"].tolist() == [6, 7, 13, 308]


def test_table2_has_ours_and_the_published(config, tmp_path):
    data = data_of(
        tmp_path, probe("pong", f1=0.3), probe("boxing", f1=0.5), probe("pong", "maj-clf", f1=0.0)
    )
    table = table2(config, data)
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


def test_table2_mean_is_over_the_games_that_are_present(config, tmp_path):
    table = table2(
        config, data_of(tmp_path, probe("pong", f1=0.3), probe("pong", "maj-clf", f1=0.0))
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
    table = table2(config, data_of(tmp_path, *(probe(game, "vae") for game in config.games)))
    assert table.loc[("paper", "mean"), "vae"] == pytest.approx(0.6)
    assert (
        table.loc[("paper", "mean"), "vae_paper"] == 0.40
    )  # the mean of the published values is 0.394


def test_seeds_become_mean_and_standard_deviation(config, tmp_path):
    config = config.model_copy(update={"seeds": [0, 7]})
    data = data_of(
        tmp_path,
        *(probe("pong", seed=seed, f1=f1) for seed, f1 in ((0, 0.3), (7, 0.5))),
        *(probe("boxing", seed=seed, f1=f1) for seed, f1 in ((0, 0.3), (7, 0.3))),
        probe("pong", "maj-clf", seed=0),
    )
    table = table2(config, data)
    assert table["st-dim"].tolist() == pytest.approx([0.5, 0.4, 0.45])
    assert table["st-dim_std"].tolist() == pytest.approx([0.2 / 2**0.5, 0, 0.1 / 2**0.5])
    assert table["maj-clf"].isna().all()  # one of two seeds is not their mean
    assert table3(config, data)["st-dim"].tolist()[0] == pytest.approx(0.35)


def test_several_protocols_are_blocks_of_the_same_table(config, tmp_path):
    config = config.model_copy(
        update={
            "protocols": {
                "paper": config.protocols["paper"],
                "corrected": config.protocols["paper"],
            }
        }
    )
    table = table2(config, data_of(tmp_path, probe(f1=0.3), probe(f1=0.6, protocol="corrected")))
    assert table.index.tolist() == [
        (p, g) for p in ("paper", "corrected") for g in ("pong", "boxing", "mean")
    ]
    assert table["st-dim"].tolist() == pytest.approx(
        [0.4, math.nan, 0.4, 0.7, math.nan, 0.7], nan_ok=True
    )


def test_table3_is_over_the_games_that_have_the_category(config, tmp_path):
    of_boxing = {"ball_x": {"f1": 0.8, "accuracy": 0.8}}  # it has no score
    data = data_of(tmp_path, probe("pong", f1=0.3), probe("boxing", variables=of_boxing))
    table = table3(config, data).set_index("category")
    assert table.index.tolist() == list(CATEGORIES)
    assert table.loc["small_object_localization", "st-dim"] == pytest.approx((0.3 + 0.8) / 2)
    assert table.loc["score_clock_lives_display", "st-dim"] == pytest.approx(0.5)  # of pong alone
    assert math.isnan(table.loc["misc", "st-dim"])
    assert table.loc["misc", "st-dim_paper"] == 0.75
    assert table["games"].tolist() == [2] * 5


def test_table3_has_nothing_for_a_method_without_a_game(config, tmp_path):
    table = table3(
        config, data_of(tmp_path, probe("pong"), probe("boxing"), probe("pong", "maj-clf"))
    )
    assert table["maj-clf"].isna().all()
    assert table["st-dim"].notna().sum() == 2


def test_no_scores_at_all_are_dashes(config, tmp_path):
    path = scored(tmp_path)
    data = read_data(path, REFERENCE)
    assert table2(config, data)[list(config.methods)].isna().all(axis=None)
    assert table3(config, data)["games"].tolist() == [0] * 5
    write_figures(config, path, tmp_path / "figures")
    write_tables(config, path, REFERENCE, tmp_path / "tables")


def test_scores_of_another_label_set_are_refused(config, tmp_path):
    with pytest.raises(UserError, match="revised-2020, the configuration paper-2019: make"):
        write_tables(config, scored(tmp_path, probe(label_set="revised-2020")), REFERENCE, tmp_path)


def test_accuracies_have_tables_of_their_own(config, tmp_path):
    write_tables(config, scored(tmp_path, probe("pong", f1=0.3)), REFERENCE, tmp_path)
    table = pd.read_csv(tmp_path / "table2_accuracy_by_game.csv").set_index("game")
    assert table["st-dim"].tolist() == pytest.approx([0.5, math.nan, 0.5], nan_ok=True)
    table11 = NO_SCORES.published("paper_table11_accuracy_random_agent.csv", "game")
    games = ["pong", "boxing"]
    assert table["st-dim_paper"][games].tolist() == table11.loc[games, "st-dim"].tolist()
    assert pd.read_csv(tmp_path / "table3_accuracy_by_category.csv")["st-dim"][0] == pytest.approx(
        0.4
    )
    shown = (tmp_path / "table2_accuracy_by_game.tex").read_text()
    assert "Probe accuracy by game" in shown
    assert "Published values are of" in shown and "Difference" in shown


@pytest.mark.parametrize(("game", "published"), [("boxing", 0.92), ("pong", 0.81)])
def test_table4_has_every_variable_of_any_game(config, tmp_path, game, published):
    name = "clock" if game == "boxing" else "ball_x"
    value = {"f1": 0.5, "accuracy": 0.6}
    path = scored(
        tmp_path,
        probe(game, variables={name: value}),
        probe("boxing" if game == "pong" else "pong", f1=0.9),
    )
    write_variables(config, game, path, REFERENCE, tmp_path / game)
    table = pd.read_csv(tmp_path / f"{game}.csv").set_index("variable")
    assert table.index.tolist() == list(variables("paper-2019", game))
    assert table["st-dim"].dropna().to_dict() == {name: 0.5}
    assert table["st-dim_paper"].get(name) == pytest.approx(published or math.nan, nan_ok=True)
    shown = (tmp_path / f"{game}.tex").read_text()
    assert "Published (arXiv" in shown
    assert r"& \textbf{0.50} &" in shown


def test_pong_is_compared_with_the_reproduction_report(config, tmp_path):
    found = [probe("pong", method, f1=0.3) for method in ("st-dim", "maj-clf")]
    path = scored(tmp_path, *found, *(probe("boxing", method) for method in ("st-dim", "maj-clf")))
    write_tables(config, path, REFERENCE, tmp_path)
    table = pd.read_csv(tmp_path / "reproduction_pong.csv")
    assert table.columns.tolist() == [
        *("policy", "protocol", "metric", "category"),
        *("st-dim", "st-dim_report", "st-dim_difference"),  # the report has no maj-clf
        "sha256",
    ]
    table = table.set_index(["metric", "category"]).drop(columns="sha256")
    assert table.loc[
        ("f1", "small_object_localization"), "st-dim":"st-dim_difference"
    ].tolist() == pytest.approx([0.3, 0.60, -0.3])
    assert table.loc[
        ("accuracy", "small_object_localization"), "st-dim":
    ].tolist() == pytest.approx([0.4, 0.58, -0.18])
    assert table.loc[("f1", "mean"), "st-dim":].tolist() == pytest.approx([0.4, 0.65, -0.25])
    assert math.isnan(table.loc[("f1", "agent_localization"), "st-dim"])
    shown = (tmp_path / "reproduction_pong.tex").read_text()
    assert "F1: The report" in shown
    assert "Accuracy: Difference" in shown


def test_without_pong_there_is_no_reproduction(config, tmp_path):
    boxing = config.model_copy(update={"games": ["boxing"]})
    write_tables(boxing, scored(tmp_path, probe("boxing")), REFERENCE, tmp_path / "out")
    assert not (tmp_path / "out" / "reproduction_pong.csv").exists()


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
    table = f1_by_probe.table(config, data_of(tmp_path, *found))
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
    assert table.loc[1, [*aggregate.MEANS, "games"]].tolist() == pytest.approx(
        [0.35, 0.35, 0.35, 2]
    )
    assert table.loc[[0, 2, 3, 4, 5], [*aggregate.MEANS]].isna().all(axis=None)
    assert table["games"].tolist() == [2] * 3 + [0] * 3
    shown = f1_by_probe.latex(config, table)
    assert r"ST-DIM & linear & 0.35 & 0.35 & 0.35 & 2 \\" in shown
    assert r" & one hidden layer & -- & -- & -- & 2 \\" in shown


def test_the_table_of_interquartile_means_has_intervals_of_several_seeds_alone():
    for seeds in ([0], [0, 1]):
        config = settings(games=["pong", "boxing"], seeds=seeds)
        table = iqm.table(config, run_data(config, np.full((1, 2, len(seeds)), 0.5)))
        assert table.columns.tolist() == ["policy", "protocol", "method", "iqm", "low", "high"]
        shown = iqm.latex(config, table)
        assert (
            r"MAJ-CLF & 0.50 & -- \\" if len(seeds) == 1 else r"MAJ-CLF & 0.50 & [0.50, 0.50] \\"
        ) in shown
        assert r"VAE & -- & -- \\" in shown
        assert ("a single seed has none" in shown) == (len(seeds) == 1)


def with_agents(config):
    """Two policies: the random agent, and PPO as the paper's second data set."""
    row = {"kind": "ppo", "steps": 20, "validate_every": 20, "num_envs": 4}
    row["options"] = {"ppo": {"horizon": 5}}
    agents = {"mine": row, "dqn": {**row, "kind": "dqn", "options": {}, "learn_every": 4}}
    policies = {"random_agent": {"kind": "random"}} | {
        name: {"kind": "agent", "agent": agent} for name, agent in (("ppo", "mine"), ("q", "dqn"))
    }
    methods = {"pretrained-rl-agent": {"kind": "agent", "agent": "mine"}}
    content = config.model_dump() | {"agents": agents, "policies": policies}
    content |= {"ledger": None, "scaling": None, "studies": []}
    return Config.check(content | {"methods": content["methods"] | methods}, source="a test")


def test_frames_of_agents_are_beside_the_published_values_of_such_frames(config, tmp_path):
    """Tables 2, 6 and 10; a DQN's frames are nobody else's."""
    config = with_agents(config)
    played = [
        probe(game, method, f1=0.3, policy=policy)
        for game in ("pong", "boxing")
        for method in ("st-dim", "pretrained-rl-agent")
        for policy in ("random_agent", "ppo", "q")
    ]
    found = by_game.table(config, data_of(tmp_path, *played))
    found = found[found["protocol"] == "paper"].set_index(["policy", "game"])
    theirs = {
        (policy, game): found.loc[(policy, game), "st-dim_paper"]
        for policy in config.policies
        for game in ("pong", "boxing")
    }
    assert theirs[("random_agent", "pong")] == 0.81 and theirs[("random_agent", "boxing")] == 0.58
    table6 = NO_SCORES.published("paper_table6_f1_ppo_agent.csv", "game")["st-dim"]
    assert theirs[("ppo", "pong")] == table6["pong"] != 0.81
    assert theirs[("ppo", "boxing")] == table6["boxing"]
    assert math.isnan(theirs[("q", "pong")])
    table10 = NO_SCORES.published("paper_table10_f1_rl_probe_ppo_agent.csv", "game")
    column = found["pretrained-rl-agent_paper"]
    assert column[("ppo", "pong")] == table10.loc["pong", "pretrained-rl-agent"]
    assert math.isnan(column[("random_agent", "pong")])
    means = found.xs("mean", level="game")["st-dim_paper"]
    assert means["ppo"] == pytest.approx((table6["pong"] + table6["boxing"]) / 2)


def test_categories_and_variables_of_agents_frames(config, tmp_path):
    """Tables 7, 13 to 34, and 35 to 56."""
    config = with_agents(config)
    played = [probe("pong", policy=policy) for policy in ("random_agent", "ppo")]
    data = data_of(tmp_path, *played)
    found = by_category.table(config, data).set_index(["policy", "protocol", "category"])
    table7 = NO_SCORES.published("paper_table7_f1_by_category_ppo_agent.csv", "category")
    theirs = found["st-dim_paper"].xs("paper", level="protocol")
    for category in CATEGORIES:
        assert theirs[("ppo", category)] == table7.loc[category, "st-dim"]
    found = by_variable.table(config, data, "pong").set_index(["policy", "protocol", "variable"])
    files = ("35to56_f1_by_variable_ppo_agent", "13to34_f1_by_variable_random_agent")
    agents, random = (
        NO_SCORES.published(f"paper_tables{file}.csv", "game", "variable", "method")["f1"]
        for file in files
    )
    for name in ("ball_x", "player_score"):
        theirs = found["st-dim_paper"].xs("paper", level="protocol")
        assert theirs[("ppo", name)] == agents[("pong", name, "st-dim")]
        assert theirs[("random_agent", name)] == random[("pong", name, "st-dim")]
