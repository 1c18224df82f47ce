"""Learning curves: a panel for each method that learns, and what is refused."""

import pytest
from scored import check_figures, few_methods, settings, table

from workflow_src.errors import DamagedFile, UserError
from workflow_src.report.figures import learning_curves as curves


@pytest.fixture
def config():
    return few_methods()


def history(folder, method, game, losses, protocol="paper", seed=0):
    """Write a training's history, (train, validation) losses by epoch; return its path."""
    path = folder / "random_agent" / protocol / method / f"{game}-s{seed}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{epoch},{train},{val},1\n" for epoch, (train, val) in enumerate(losses))
    return table(path, "epoch,train_loss,val_loss,val_global\n" + rows if losses else "epoch\n")


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
        UserError, match="history of random_agent/other/st-dim does not belong to this run"
    ):
        curves.write_learning_curves(
            config, [history(tmp_path, "st-dim", "pong", [(4, 5)], "other")], tmp_path
        )
    table(path, "epoch,train_loss\n0,1\n")
    with pytest.raises(
        DamagedFile, match=r"pong-s0\.csv is damaged \(the column val_loss is missing\)"
    ):
        curves.write_learning_curves(config, [path], tmp_path)
