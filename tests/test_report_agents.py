"""Agents compared over games: the statistics against plain ones, tables and profiles."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scored import REFERENCE

from workflow_src.config.run import defaults
from workflow_src.csv_files import read_published, write_csv
from workflow_src.report.agents import agent_comparison, agent_improvement, performance_profiles
from workflow_src.report.agents.comparing import (
    OURS,
    Contender,
    contenders,
    games_of,
    improvement,
    optimality_gap,
    profile,
)
from workflow_src.report.agents.data import AgentData
from workflow_src.report.agents.write import write_agents

GAMES = ["pong", "boxing", "breakout"]
AGENT = {"kind": "a3c", "validate_every": 80, "steps": 80}


def published():
    return read_published(
        REFERENCE, "agent_scores.csv", text=["agent", "protocol", "game", "measured", "source"]
    )


def played(seeds=(0, 1, 2), games=GAMES, agents=("good", "poor")):
    """Evaluations: ``good`` is as far above random play as half a human, ``poor`` plays randomly;
    in each run, a game that was cut off, which counts nothing.
    """
    reference = AgentData(pd.DataFrame(), pd.DataFrame(), published())
    rows, histories = [], []
    for agent, game, seed in itertools.product(agents, games, seeds):
        low, high = (reference.baseline(name, game) for name in ("random", "human"))
        share = {"good": 0.5 + seed / 10, "poor": seed / 100}[agent]
        which = {"agent": agent, "game": game, "seed": seed, "protocol": "classic"}
        for weights, finished, score in (
            ("last", 1, low + share * (high - low)),
            ("last", 0, high * 100),
            ("best", 1, high),
        ):
            rows.append(which | {"weights": weights, "finished": finished, "score": score})
        histories.append(which | {"step": 80, "frames": 320, "score": 0.0})
    return AgentData(pd.DataFrame(histories), pd.DataFrame(rows), published())


def run(games=GAMES, **change):
    agents = {"good": AGENT, "poor": AGENT, "catch": AGENT | {"environment": {"kind": "catch"}}}
    return defaults({"games": games, "seeds": [0, 1, 2], "agents": agents} | change)


def test_agents_over_games():
    table = agent_comparison.table(run(), played()).set_index("agent")
    good = table.loc["good"]
    assert good["iqm"] == pytest.approx(0.6) and good["median"] == pytest.approx(0.6)
    assert good["mean"] == pytest.approx(0.6) and good["gap"] == pytest.approx(0.4)
    assert 0.5 <= good["iqm_low"] <= 0.6 <= good["iqm_high"] <= 0.7
    assert good["gap_low"] <= 0.4 <= good["gap_high"]
    assert (good["games"], good["seeds"], good["frames"]) == (3, 3, 320)
    assert "catch" not in table.index
    # Published agents have one score a game, and no interval.
    dqn = table.loc["dqn"]
    assert dqn["frames"].tolist() == [10_000_000, 50_000_000, 200_000_000]
    assert dqn["iqm_low"].isna().all() and dqn["iqm"].is_monotonic_increasing
    text = agent_comparison.latex(run(), table.reset_index())
    assert "This run" in text and "Published" in text and "0.60 [0." in text


def test_only_games_with_both_reference_scores_count():
    known = published()
    without = [game for game in run().games if game not in GAMES]
    assert without == [] and games_of(run(), played()) == GAMES
    human = known[known["agent"] == "human"]["game"].tolist()
    lacking = next(game for game in defaults({}).games if game not in human)
    config = run(games=[*GAMES, lacking])
    assert games_of(config, played()) == GAMES
    alone = run(games=[lacking])
    for made in (agent_comparison, agent_improvement):
        table = made.table(alone, played())
        assert table.empty and lacking not in made.latex(alone, table)
    assert performance_profiles.figure(alone, played()).axes


def test_statistics_by_their_definitions():
    rng = np.random.default_rng(0)
    scores = rng.normal(1, 1, (5, 4))
    assert optimality_gap(scores) == pytest.approx(
        np.mean([max(1 - one, 0) for one in scores.ravel()])
    )
    at = np.linspace(-1, 3, 9)
    expected = [np.mean([one > tau for one in scores.ravel()]) for tau in at]
    np.testing.assert_allclose(profile(scores, at), expected)
    assert (np.diff(profile(scores, at)) <= 0).all()


def test_probability_of_improvement_is_mann_whitney_s():
    rng = np.random.default_rng(1)
    ours, theirs = (
        rng.integers(0, 4, (6, 5)).astype(float),
        rng.integers(0, 4, (6, 3)).astype(float),
    )
    one, other = (
        Contender(name, "classic", 1, OURS, scores)
        for name, scores in (("one", ours), ("other", theirs))
    )
    found, low, high = improvement(one, other)
    expected = np.mean(
        [
            scipy.stats.mannwhitneyu(a, b).statistic / (5 * 3)
            for a, b in zip(ours, theirs, strict=True)
        ]
    )
    assert found == pytest.approx(expected) and low < found < high
    assert improvement(other, one)[0] == pytest.approx(1 - expected)
    assert improvement(one, other) == (found, low, high)  # the same draws


def test_each_agent_against_each_other():
    table = agent_improvement.table(run(), played())
    pairs = table.set_index(["agent", "than"])["probability"]
    assert pairs["good", "poor"] == 1 and pairs["poor", "good"] == 0
    assert ("good", "dqn (200M)") in pairs.index and ("good", "good") not in pairs.index
    assert set(table["agent"]) == {"good", "poor"}
    assert "Agent good" in agent_improvement.latex(run(), table)


def test_profiles_have_a_line_for_each_of_ours_and_the_published_dqn():
    (axes,) = performance_profiles.figure(run(), played()).axes
    labels = [line.get_label() for line in axes.lines if not line.get_label().startswith("_")]
    assert labels == ["good", "poor", "dqn (10M)", "dqn (50M)", "dqn (200M)"]
    good = axes.lines[0]
    at = np.searchsorted(good.get_xdata(), 0.55)
    assert good.get_ydata()[at] == pytest.approx(2 / 3)  # the seeds with 0.6 and 0.7


def test_a_run_of_catch_alone_has_no_comparison(tmp_path):
    config = run(agents={"catch": AGENT | {"environment": {"kind": "catch"}}})
    folder = tmp_path / "results"
    history = folder / "agents/catch/catch-s0/history.csv"
    games = folder / "evaluations/catch/catch-s0.csv"
    for file, frame in (
        (history, pd.DataFrame([{"epoch": 0, "step": 80, "frames": 80, "score": 0.5}])),
        (
            games,
            pd.DataFrame(
                [
                    {"agent": "catch", "game": "catch", "seed": 0, "weights": name, "score": 0.5}
                    | {"protocol": "classic", "frames": 23, "finished": 1}
                    for name in ("last", "best")
                ]
            ),
        ),
    ):
        file.parent.mkdir(parents=True)
        write_csv(file, frame)
    config = config.model_copy(update={"seeds": [0]})
    write_agents(config, [history], [games], REFERENCE, tmp_path / "t", tmp_path / "f")
    assert sorted(file.name for file in (tmp_path / "t").iterdir()) == [
        "agent_scores.csv",
        "agent_scores.tex",
    ]
    assert len(contenders(run(), played())) > 2
