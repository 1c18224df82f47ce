"""Scaling: F1 by number of frames, its figure, and what is refused."""

import pandas as pd
import pytest
from scored import data_of, probe, scored, settings

from workflow_src.errors import UserError
from workflow_src.report.studies import scaling
from workflow_src.report.studies.write import write_study


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
        out = tmp_path / folder
        write_study(config, "scaling", scored(tmp_path, *found), out, out)
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
    (axes,) = scaling.figure(config, data_of(tmp_path, *found)).axes
    lines = [tuple(line.get_ydata()) for line in axes.lines]
    assert len(lines) == 2 + 1
    assert lines[-1] == pytest.approx([0.2, 0.4, 0.65])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10,000", "50,000", "100,000"]


def test_missing_parts_of_scaling_are_named(tmp_path):
    config, found = grown()
    few = [one for one in found if (one["protocol"], one["game"]) != ("paper-p10", "boxing")]
    with pytest.raises(
        UserError,
        match="scaling needs every game .*: run the missing probes, "
        r"paper-p10/st-dim/boxing/seed 0 \(random_agent\)$",
    ):
        write_study(config, "scaling", scored(tmp_path, *few), tmp_path / "out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="has no section scaling: copy that section"):
        out = tmp_path / "out"
        write_study(settings(scaling=None), "scaling", scored(tmp_path), out, out)
