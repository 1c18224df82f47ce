"""Figures from scores: what they draw, and that the same scores give the same bytes."""

import math

import numpy as np
import pandas as pd
import pytest
from scored import (
    check_figures,
    data_of,
    few_methods,
    probe,
    run_data,
    scored,
    settings,
)

from workflow_src import catalogue
from workflow_src.report import aggregate
from workflow_src.report.figures import ablations, iqm
from workflow_src.report.figures.heat_map import heat_map
from workflow_src.report.figures.write import write_figures
from workflow_src.report.names import DASH

FIGURES = ["f1_by_game", "f1_by_category", "iqm"]


@pytest.fixture
def config():
    return few_methods()


def test_figures_are_valid_and_the_same_twice(config, tmp_path):
    path = scored(tmp_path, probe("pong"))
    for folder in ("one", "two"):
        write_figures(config, path, tmp_path / folder)
    check_figures(tmp_path / "one", tmp_path / "two", FIGURES)


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_the_figure_of_interquartile_means_has_points_intervals_and_dashes(seeds):
    config = settings(games=["pong", "boxing"], seeds=seeds)
    data = run_data(config, np.random.default_rng(0).uniform(0.1, 1, (2, 2, len(seeds))))
    found = aggregate.interquartile_means(config, data.scores)
    found = found.query("protocol == 'paper'").droplevel([0, 1])
    figure = iqm.figure(config, data)
    (axes,) = figure.axes
    points = next(line for line in axes.lines if line.get_label() == "paper")
    assert points.get_xdata()[:2] == pytest.approx(found["iqm"].iloc[:2])
    segments = [s for s in axes.collections[0].get_segments() if np.isfinite(s).all() and len(s)]
    assert [tuple(s[:, 0]) for s in segments] == [
        pytest.approx(row) for row in found[["low", "high"]].dropna().to_numpy()
    ]
    assert [text.get_text() for text in axes.texts] == [DASH] * (
        12 + 14
    )  # twelve methods, and all of the other protocol
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        method.upper() for method in config.methods
    ]
    assert ("one seed, so no intervals" in figure.get_supxlabel()) == (len(seeds) == 1)


def test_ablations_are_bars_by_category_and_over_all(tmp_path):
    config = settings(games=["pong", "boxing"], protocols={"corrected": None}, ledger=None)
    assert catalogue.ablated(config) == [
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
    (axes,) = ablations.figure(config, data_of(tmp_path, *found)).axes
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in axes.containers}
    nan = math.nan
    assert heights["ST-DIM"] == pytest.approx([0.5, nan, nan, 0.7, nan, 0.6], nan_ok=True)
    assert heights["DIM"] == pytest.approx([0.1, nan, nan, 0.3, nan, 0.2], nan_ok=True)
    assert [t.get_text() for t in axes.texts].count(DASH) == 3 * 2 + 6 * 3
    few = config.model_copy(update={"methods": {m: config.methods[m] for m in ("dim", "vae")}})
    assert catalogue.ablated(few) == []
    for folder in ("one", "two"):
        write_figures(config, path, tmp_path / folder)
    check_figures(tmp_path / "one", tmp_path / "two", [*FIGURES, "ablations"])


def test_the_heat_map_prints_values_and_dashes(config, tmp_path):
    config = config.model_copy(
        update={
            "protocols": {
                "paper": config.protocols["paper"],
                "corrected": config.protocols["paper"],
            }
        }
    )
    data = data_of(
        tmp_path,
        probe("pong", f1=0.3),
        probe("boxing", "maj-clf", f1=0.8),
        probe("pong", protocol="corrected"),
    )
    mean, _ = aggregate.over_seeds(aggregate.by_game(config, data.scores))
    left, right, _ = heat_map(config, mean, config.games).axes  # and the colour bar
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


def test_scores_that_are_close_can_be_told_apart(tmp_path):
    """An axis of a tenth with plain ticks, and each value beside its point."""
    from workflow_src.report.figures.points import points

    table = pd.DataFrame({"iqm": [0.64012, 0.64025, 0.6403], "low": np.nan, "high": np.nan})
    figure = points([("one", [("paper", table)])], ["A", "B", "C"], "F1", "iqm", least_span=0.1)
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    assert 0.1 <= high - low < 0.12
    figure.canvas.draw()
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert len(set(ticks)) == len(ticks) > 2 and all(len(tick) <= 5 for tick in ticks)
    assert axes.xaxis.get_offset_text().get_text() == ""
    assert [text.get_text() for text in axes.texts] == ["0.640", "0.640", "0.640"]
