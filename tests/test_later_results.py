"""What was published later beside a run: the table, its LaTeX, and the figure."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scored import REFERENCE, run_data, settings

from workflow_src.report.figures import later_results as drawn
from workflow_src.report.figures import style
from workflow_src.report.tables import later_results
from workflow_src.report.tables.later_results import MASKED

LATER = pd.read_csv(REFERENCE / "later_results.csv")


@pytest.fixture
def config():
    methods = {"random-cnn": {"kind": "random-cnn"}, "place-codes": {"kind": "place-codes"}}
    made = settings(games=["pong", "boxing"])
    kinds = {name: type(made.methods["st-dim"])(**row) for name, row in methods.items()}
    protocols = {"paper": made.protocols["paper"]}
    return made.model_copy(update={"methods": kinds, "protocols": protocols})


@pytest.fixture
def data(config):
    return run_data(config, np.array([[[0.2], [0.4]], [[0.7], [0.9]]]))


def test_every_mean_stands_once_with_its_games_and_features(config, data):
    found = later_results.table(config, data)
    assert list(found.columns) == later_results.COLUMNS
    later = found[found["year"] > 2019].set_index(["method", "features"])
    means = LATER[(LATER["game"] == "mean") & (LATER["metric"] == "f1")]
    assert (
        set(later.index) == set(zip(means["method"], means["feature_size"], strict=True))
        and later.index.is_unique
    )
    clip = later.loc[("clip-1x1", "512")]
    assert (clip["f1"], clip["games"], clip["label_set"]) == (0.551, "22", "revised-2020")
    ours = LATER[(LATER["method"] == "clip-1x1") & LATER["game"].isin(["pong", "boxing"])]
    assert clip["f1_of_these_games"] == pytest.approx(ours["value"].mean())
    assert np.isnan(later.loc[("dim-ua", "16384"), "f1_of_these_games"])
    assert later.loc[("mst-dim", "256"), "note"] == MASKED
    paper = found[found["year"] == 2019].set_index("method")
    assert paper.loc["st-dim", "f1"] == pytest.approx(0.68, abs=0.005)
    assert paper.loc["st-dim", "f1_of_these_games"] == pytest.approx((0.81 + 0.58) / 2)
    assert set(paper["games"]) == {"22"} and np.isnan(paper.loc["maj-clf", "features"])


def test_this_run_s_rows_have_its_labels_and_games(config, data):
    found = later_results.table(config, data)
    ours = found[found["source"].str.startswith(later_results.OURS)].set_index("method")
    assert ours["f1"].to_dict() == pytest.approx({"random-cnn": 0.3, "place-codes": 0.8})
    assert set(ours["games"]) == {"2"} and set(ours["label_set"]) == {"paper-2019"}


def test_a_part_has_one_label_set_and_one_number_of_games(config, data):
    text = later_results.latex(config, later_results.table(config, data))
    heads = [line for line in text.splitlines() if r"\emph{" in line]
    assert len(heads) == len(set(heads)) == 6
    assert any("revised-2020, 22 games" in head for head in heads)
    assert any(MASKED in head for head in heads)
    assert "DIM-UA & 16,384 & 0.75 & --" in text


def test_the_figure_has_a_point_for_each_mean_and_names_apart(config, data):
    sized = data.scores[data.scores["level"] == "mean_over_categories"].drop_duplicates(
        ["method", "game"]
    )
    sized = sized.assign(level="features", name="", metric="size", value=256.0)
    data = type(data)(pd.concat([data.scores, sized]), REFERENCE)
    figure = drawn.figure(config, data)
    (axes,) = figure.axes
    rows = later_results.table(config, data).dropna(subset=["f1", "features"])
    shown = rows[rows["note"] != MASKED]
    points = {(x, y) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)}
    assert points == set(zip(shown["features"].astype(float), shown["f1"], strict=True))
    assert len(axes.texts) == len(shown)
    figure.canvas.draw()
    for text in axes.texts:
        text.get_window_extent()  # which places the name; its own has the line, too
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert not any(
        one.shrunk(0.9, 0.6).overlaps(other.shrunk(0.9, 0.6))
        for i, one in enumerate(boxes)
        for other in boxes[i + 1 :]
    )
    assert style.png(figure).startswith(b"\x89PNG")
