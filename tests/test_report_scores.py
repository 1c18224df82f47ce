"""Scores: one tidy CSV of all probes, and their headlines."""

import json
import math
import re

import pytest
from scored import probe, save, scored

from workflow_src import artifacts
from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.scores import COLUMNS, read_scores, write_scores


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
    assert methods["other"]["majority"] == {"boxing": 0.95, "mean": 0.95}


@pytest.mark.parametrize(
    "key",
    ["seed", "categories", "mean_over_categories.f1", "mean_weighted", "variables.ball_x.accuracy"],
)
def test_a_probe_without_a_key_is_refused(tmp_path, key):
    content = probe()
    *above, last = key.split(".")
    part = content
    for name in above:
        part = part[name]
    del part[last]
    path = tmp_path / "pong-s0.json"
    artifacts.write_checked_json(path, content)
    with pytest.raises(DamagedFile, match=rf"pong-s0\.json.*the key {re.escape(key)} is missing\)"):
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
    with pytest.raises(UserError, match="both have random_agent/paper/st-dim/majority/pong/0"):
        write_scores(one + two, tmp_path / "scores.csv")


def test_several_probes_of_one_encoder_are_kept_apart(tmp_path):
    scores = read_scores(
        scored(tmp_path, probe(readout="linear", f1=0.3), probe(readout="mlp", f1=0.5))
    )
    means = scores[(scores["level"] == "mean_weighted") & (scores["metric"] == "f1")].set_index(
        "probe"
    )["value"]
    assert means.to_dict() == {"linear": 0.3 + 0.1, "mlp": 0.5 + 0.1}


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
