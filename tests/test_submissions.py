"""Scores that are handed in: what is right is taken, what is not is named; runs in one table."""

import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from scored import REFERENCE, probe, scored, with_numbers

from workflow_src.cli.main import cli
from workflow_src.errors import UserError
from workflow_src.means import summarise
from workflow_src.report.aggregate import MEANS
from workflow_src.report.submissions import check, compare


def consistent(game="pong", **change):
    """A probe's file whose means are those of its variables."""
    made = probe(game, **change)
    if game == "mspacman":
        names = {"ball_x": "player_x", "player_score": "player_score"}
        made["variables"] = {names[name]: row for name, row in made["variables"].items()}
    return made | summarise(made["variables"])


@pytest.fixture
def handed_in(tmp_path):
    return scored(tmp_path, consistent(readout="linear"), consistent(readout="linear", seed=1))


def test_a_run_s_own_scores_are_in_order(handed_in):
    done = CliRunner().invoke(cli, ["check-scores", str(handed_in)], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output == f"{handed_in}: 2 probes (1 method, 1 game, 2 seeds), in order\n"


def test_what_else_a_run_s_scores_have_does_not_count(tmp_path):
    published = REFERENCE / "ours" / "scores.csv"
    assert "features" in published.read_text()
    found = check(published)
    assert set(found["level"]) == {"variable", "category", *MEANS}
    features = {"size": 256, "mean": 0.1, "deviation": 1.5, "effective_rank": 9.0}
    numbers = with_numbers({"r2": -3.0, "mae": 7.0, "within_2": 0.5}, features=features)
    mine = scored(tmp_path, numbers)
    assert {"features", "r2", "mae", "within_2"} <= set(
        mine.read_text().replace("\n", ",").split(",")
    )
    assert set(check(mine)["metric"]) == {"f1", "accuracy"}
    compare({"ours": published, "mine": mine}, REFERENCE, tmp_path / "c")


def test_rounded_scores_are_taken(handed_in):
    scores = pd.read_csv(handed_in)
    scores["value"] = scores["value"].round(3)
    scores.to_csv(handed_in, index=False)
    assert len(check(handed_in))


WHICH = r"random_agent/paper/st-dim/linear/pong/0"


def rows(level=None, name=None, metric="f1", seed=0):
    return lambda s: (
        ((s["level"] == level) | (level is None))
        & ((s["name"] == name) | (name is None))
        & (s["metric"] == metric)
        & (s["seed"] == seed)
    )


@pytest.mark.parametrize(
    ("which", "column", "value", "said"),
    [
        (rows("variable", "ball_x"), "value", 1.2, f"{WHICH}, variable ball_x: f1 is 1.2; scores"),
        (rows("variable", "ball_x"), "value", -0.1, "f1 is -0.1; scores are from 0 to 1$"),
        (rows("variable", "ball_x"), "name", "ball_z", r"unknown variable 'ball_z' \(did you mean"),
        (lambda s: s["seed"] == 0, "game", "pongg", "unknown game 'pongg' .did you mean pong"),
        (rows(), "label_set", "paper", "unknown label set 'paper'"),
        (rows("variable"), "metric", "f2", "unknown metric 'f2'"),
        (rows("variable"), "level", "variables", "unknown level 'variables'"),
        (
            rows("variable", "ball_x"),
            "value",
            0.9,
            r"is 0\.5, and its variables give 0\.9000",
        ),
        (rows("mean_over_variables"), "value", 0.9, "mean_over_variables  .* is 0.9, and its"),
        (
            rows("category", "small_object_localization"),
            "name",
            "agent_localization",
            "category small_object_localization .f1. is missing; add the row",
        ),
    ],
)
def test_what_is_wrong_is_named(handed_in, which, column, value, said):
    scores = pd.read_csv(handed_in, keep_default_na=False)
    scores[column] = scores[column].mask(which(scores), value)
    scores.to_csv(handed_in, index=False)
    with pytest.raises(UserError, match=said) as error:
        check(handed_in)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("seed", "0.5", r"line 2: seed '0\.5': input should be a valid integer"),
        ("seed", "-3", "line 2: seed '-3': input should be greater than or equal to 0"),
        ("seed", "inf", "line 2: seed 'inf': input should be a valid integer"),
        ("seed", "", "line 2: seed '': input should be a valid integer"),
        ("method", "", "line 2: method '': string should match"),
        ("method", r"My <Method> & \x", "line 2: method 'My <Method> & .*x': string should match"),
        ("value", "", "line 2: value '': input should be a valid number"),
    ],
)
def test_cells_of_another_kind_are_named(handed_in, column, value, said):
    scores = pd.read_csv(handed_in, keep_default_na=False, dtype=str)
    scores.loc[0, column] = value
    scores.to_csv(handed_in, index=False)
    with pytest.raises(UserError, match=said) as error:
        check(handed_in)
    assert "\n" not in str(error.value) and "submitting.md" in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: b"", "it has 0 columns policy, not 1"),
        (lambda content: content.replace(b"value", b"score", 1), "it has 0 columns value, not 1"),
        (lambda content: content.replace(b"sha256", b"value", 1), "it has 2 columns value, not 1"),
        (lambda content: content + b"1," * 20 + b"\n", r"line \d+ has more cells than there are"),
        (lambda content: content + b"a,b\n", r"line \d+: method None: input should be a valid str"),
        (lambda content: b"\xff" + content, "'utf-8' codec can't decode"),
        (lambda content: content + b'"', "unexpected end of data"),
    ],
)
def test_a_file_of_another_kind_is_not_to_be_deleted(handed_in, change, said):
    handed_in.write_bytes(change(handed_in.read_bytes()))
    with pytest.raises(UserError, match=said) as error:
        check(handed_in)
    assert re.fullmatch(
        r".*scores.csv is not a file of scores \(.*submitting\.md", str(error.value)
    )


def test_what_spreadsheets_add_is_taken(handed_in):
    pd.read_csv(handed_in, keep_default_na=False, dtype=str).assign(notes="mine").to_csv(
        handed_in, index=False, encoding="utf-8-sig", lineterminator="\r\n"
    )
    assert len(check(handed_in))


def test_rows_that_are_missing_or_there_twice_are_named(handed_in):
    scores = pd.read_csv(handed_in, keep_default_na=False)
    pd.concat([scores, scores[rows("variable", "ball_x")(scores)]]).to_csv(handed_in, index=False)
    with pytest.raises(UserError, match=f"{WHICH}, variable ball_x is there twice; keep one"):
        check(handed_in)
    scores[~rows("mean_weighted")(scores)].to_csv(handed_in, index=False)
    with pytest.raises(UserError, match=r"mean_weighted  \(f1\) is missing; add the row"):
        check(handed_in)
    scores[~rows("variable")(scores)].to_csv(handed_in, index=False)
    with pytest.raises(UserError, match="there is no variable with a value for f1; add them"):
        check(handed_in)


def test_runs_and_files_are_one_table(tmp_path):
    (tmp_path / "mine" / "results").mkdir(parents=True)
    games = ("pong", "mspacman")
    mine = [
        consistent(game, readout="linear", f1=0.4, seed=seed) for game in games for seed in (0, 1)
    ]
    mine += [consistent("pong", method="vae", readout="linear", f1=0.2)]
    scored(tmp_path / "mine" / "results", *mine)
    (tmp_path / "other").mkdir()
    theirs = scored(
        tmp_path / "other", consistent(readout="linear", f1=0.6), consistent(readout="mlp")
    )
    found = compare({"mine": tmp_path / "mine", "theirs": theirs}, REFERENCE, tmp_path / "c")
    assert found["game"].tolist() == ["mspacman", "pong", "mean"]
    table = found.set_index("game")
    assert table["mine: st-dim"].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert table.loc[["pong", "mean"], "mine: vae"].tolist() == pytest.approx([0.3, 0.3])
    assert table.loc["pong", "theirs: st-dim"] == pytest.approx(0.7)  # of the linear probe
    published = pd.read_csv(REFERENCE / "paper_table2_f1_random_agent.csv").set_index("game")
    assert table.loc["pong", "published: st-dim"] == published.loc["pong", "st-dim"]
    text = (tmp_path / "c.tex").read_text()
    assert "mine" in text and "ST-DIM" in text and r"\toprule" in text
    page = (tmp_path / "c.html").read_bytes()
    assert b"mine: st-dim" in page and b'src="http' not in page
    # Readable before any script runs.
    assert b"<td>0.500</td>" in page and b"Loading" not in page.partition(b"<script")[0]
    compare({"mine": tmp_path / "mine", "theirs": theirs}, REFERENCE, tmp_path / "d")
    assert (tmp_path / "d.html").read_bytes() == page


def test_label_sets_are_not_mixed(tmp_path, handed_in):
    scores = pd.read_csv(handed_in, keep_default_na=False)
    other = scores.assign(label_set="revised-2020")
    pd.concat([scores, other]).to_csv(handed_in, index=False)
    found = compare({"theirs": handed_in}, REFERENCE, tmp_path / "c")
    assert found["label_set"].unique().tolist() == ["paper-2019", "revised-2020"]
    published = found.set_index(["label_set", "game"])["published: st-dim"]
    assert published["revised-2020"].isna().all() and published["paper-2019"].notna().all()


@pytest.mark.parametrize(
    ("sources", "out", "said"),
    [
        (["scores.csv", "scores=scores.csv"], "c", "two sources are called scores: write NAME="),
        (["published=scores.csv"], "c", "'published' of scores.csv is that of the published num"),
        (["=scores.csv"], "c", "the name '' of scores.csv is empty: write NAME=scores.csv"),
        (["scores.csv"], "scores", "scores would write over the source scores.csv: choose another"),
        (["a=linked.csv"], "scores", "scores would write over the source linked.csv"),
        (["a=run"], "run/results/scores", "would write over the source run/results/scores.csv"),
        (["scores.csv"], "", "the files to write have no name: name a path without extension"),
    ],
)
def test_sources_and_outputs_of_one_name_are_refused(
    tmp_path, monkeypatch, handed_in, sources, out, said
):
    monkeypatch.chdir(tmp_path)
    before = handed_in.read_bytes()
    Path("linked.csv").symlink_to("scores.csv")
    Path("run/results").mkdir(parents=True)
    Path("run/results/scores.csv").write_bytes(before)
    files = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(cli, ["compare", *sources, "--out", out])
    assert isinstance(done.exception, UserError) and said in str(done.exception)
    assert sorted(tmp_path.rglob("*")) == files and handed_in.read_bytes() == before
