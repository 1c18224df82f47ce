"""What tests of the report share: small probes and configurations, and scores made of them."""

import io
import itertools
from pathlib import Path

import pandas as pd

from workflow_src import artifacts
from workflow_src.config.methods import Method
from workflow_src.config.reading import merge, read_yaml
from workflow_src.config.run import Config
from workflow_src.csv_files import write_csv
from workflow_src.means import summarise
from workflow_src.report.data import Data, read_data
from workflow_src.report.scores import ProbeFile, tidy, write_scores

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "reference"
GAMES = Config.load(ROOT / "config.yaml").games  # the 22 of the paper


def probe(
    game="pong",
    method="st-dim",
    seed=0,
    f1=0.5,
    protocol="paper",
    readout="majority",
    spread=0.2,
    **change,
):
    """A probe's file; the ball is at ``f1`` and the score at ``f1 + spread``, at most 1."""
    values = f1, min(f1 + spread, 1.0)
    ball, score = ({"f1": value, "accuracy": min(value + 0.1, 1.0)} for value in values)
    about = {"classes": 3, "entropy": 1.0, "support": 10}
    variables = {
        "ball_x": {**ball, **about, "categories": ["small_object_localization"]},
        "player_score": {**score, **about, "categories": ["score_clock_lives_display"]},
    }
    return {
        "game": game,
        "policy": "random_agent",
        "protocol": protocol,
        "method": method,
        "seed": seed,
        "label_set": "paper-2019",
        "probe": readout,
        "variables": variables,
        **summarise(variables),
    } | change


def with_numbers(ball, **which):
    """A `probe` that estimates numbers: the ball with the errors ``ball``, the score without."""
    content = probe(readout="regression", **which)
    content["variables"]["ball_x"] |= ball
    content["variables"]["player_score"] |= {"r2": 1.0, "mae": 0.0, "within_2": 1.0}
    return content | summarise(content["variables"])


def table(path, text):
    """Write a CSV as the workflow does, with its checksum."""
    cells = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    write_csv(path, cells)
    return path


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
        artifacts.write_checked_json(path, p | summarise(p["variables"]))
        paths.append(path)
    return paths


def scored(folder, *probes):
    """The path of the scores of ``probes``."""
    write_scores(save(folder, *probes), folder / "scores.csv")
    return folder / "scores.csv"


def settings(**change):
    """The paper's configuration, changed."""
    return Config.check(merge(read_yaml(ROOT / "config.yaml"), change), "test")


def data_of(folder, *probes):
    """The scores of ``probes`` and the published numbers, as tables and figures take them."""
    return read_data(scored(folder, *probes), REFERENCE)


def few_methods():
    """Two games, one protocol, three methods, one of which (in capitals GLOBAL_T) the paper does
    not have.
    """
    paper = Config.load(ROOT / "config.yaml")
    methods = {name: Method(kind="majority") for name in ("maj-clf", "st-dim", "global_t")}
    protocols = {"paper": paper.protocols["paper"]}
    return paper.model_copy(
        update={"games": ["pong", "boxing"], "methods": methods, "protocols": protocols}
    )


def run_data(config, values):
    """Scores of the first methods: ``values`` are methods × games × seeds, F1 (mean over
    categories).
    """
    found = []
    axes = (list(config.methods)[: len(values)], config.games, config.seeds)
    for (i, method), (j, game), (k, seed) in itertools.product(*map(enumerate, axes)):
        readout = config.methods[method].probe_names(config.probe.kinds)[0]
        value = float(values[i, j, k])
        found.append(probe(game, method, seed, value, readout=readout, spread=0.0))
    return Data(tidy(map(ProbeFile.model_validate, found)), REFERENCE)


def check_figures(one, two, names):
    """Each is a valid PDF and PNG, twice the same, and says nothing of when and by what it was
    made.
    """
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
