"""The catalogue: its files are those that are written, each has its place, and a new one needs a
file and an entry.
"""

import pytest
from scored import REFERENCE, probe, scored, settings

from workflow_src import catalogue, layout
from workflow_src.report.agreement.write import write_agreement
from workflow_src.report.figures.learning_curves import write_learning_curves
from workflow_src.report.figures.write import write_figures
from workflow_src.report.tables.write import write_tables


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
    write_tables(config, path, REFERENCE, tmp_path / "tables")
    write_figures(config, path, tmp_path / "figures")
    write_agreement(config, path, REFERENCE, tmp_path / "tables", tmp_path / "figures")
    write_learning_curves(config, [], tmp_path / "figures" / "learning_curves")
    for folder in ("tables", "figures"):
        files = [file for file in layout.everything(config) if file.count("/") == 2]
        files = [f for f in files if f.startswith(f"results/{folder}/") and "/audit" not in f]
        assert sorted(
            f"results/{folder}/{p.name}" for p in (tmp_path / folder).iterdir()
        ) == sorted(files)


def test_the_page_shows_every_game_by_variable():
    config = settings(games=["pong", "boxing"])
    found = [file for file in catalogue.on_page(config) if "by_variable" in file]
    assert found == [f"results/tables/table4_f1_by_variable/{game}.csv" for game in config.games]
