"""What tests of the paper share: finished runs of made scores, and the paper's LaTeX."""

import itertools

import numpy as np
from scored import probe, scored, settings
from workflow import ROOT

from workflow_src.report.figures.write import write_figures
from workflow_src.report.paper.write import render
from workflow_src.report.tables.write import write_tables

REFERENCE, METHODS = ROOT / "reference", ROOT / "docs" / "methods"
ONLY = {"maj-clf", "random-cnn"}
FEW = {
    "games": ["pong"],
    "protocols": {"corrected": None},
    "methods": {name: None for name in settings().methods if name not in ONLY},
    "ledger": None,
    "scaling": None,
}
SEVERAL = {"games": ["pong", "boxing", "mspacman"], "seeds": [0, 1]}


def finished(folder, config, f1=None):
    """Scores, tables and figures of a run as its rules make them; (scores, files)."""
    draw = np.random.default_rng(0)
    f1 = f1 or (lambda *_: round(draw.uniform(0.1, 0.7), 3))
    found = [
        probe(
            game,
            method,
            seed,
            f1(method, game, protocol),
            protocol,
            config.methods[method].probe_names(config.probe.kinds)[0],
        )
        for protocol, method, game, seed in itertools.product(
            config.protocols, config.methods, config.games, config.seeds
        )
    ]
    scores = scored(folder, *found)
    write_tables(config, scores, REFERENCE, folder / "tables")
    write_figures(config, scores, folder / "figures")
    return scores, [
        *sorted((folder / "tables").glob("*.tex")),
        *sorted((folder / "figures").glob("*.pdf")),
    ]


def rendered(folder, config, f1=None):
    """The paper's LaTeX as one text without line ends, and its file."""
    scores, files = finished(folder, config, f1)
    (folder / "sources").mkdir()
    source = render(config, scores, REFERENCE, METHODS, files, folder / "sources")
    return " ".join(source.read_text().split()), source
