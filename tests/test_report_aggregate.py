"""Averages: over seeds, the first probe only, and interquartile means against plain loops."""

import math

import numpy as np
import pandas as pd
import pytest
from scored import GAMES, data_of, few_methods, probe, run_data, settings

from workflow_src.errors import UserError
from workflow_src.report import aggregate


def test_the_papers_tables_and_figures_use_the_first_probe_alone(tmp_path):
    config = settings(
        games=["pong"],
        probe={"kinds": ["linear", "mlp"]},
        protocols={"corrected": None},
        ledger=None,
    )
    config = config.model_copy(
        update={"methods": {m: config.methods[m] for m in ("maj-clf", "st-dim")}}
    )
    mixed = [
        probe(method="maj-clf", f1=0.0),
        probe(readout="linear", f1=0.3),
        probe(readout="mlp", f1=0.6),
    ]
    other = probe(readout="linear", f1=0.9, protocol="paper-q5")  # of the ledger
    scores = data_of(tmp_path, *mixed, other).scores
    assert aggregate.by_game(config, scores).to_numpy().tolist() == [pytest.approx([0.1, 0.4])]
    assert set(aggregate.values(config, scores, "category", "f1").index.unique("protocol")) == {
        "paper"
    }
    swapped = config.model_copy(
        update={"probe": config.probe.model_copy(update={"kinds": ["mlp"]})}
    )
    assert aggregate.by_game(swapped, scores).to_numpy().tolist() == [pytest.approx([0.1, 0.7])]
    assert aggregate.interquartile_means(config, scores)["iqm"].tolist() == pytest.approx(
        [0.1, 0.4]
    )


def test_over_seeds_of_one_seed_has_no_spread(tmp_path):
    scores = data_of(tmp_path, probe()).scores
    mean, spread = aggregate.over_seeds(aggregate.by_game(few_methods(), scores))
    assert mean["st-dim"].notna().sum() == 1
    assert spread.isna().all(axis=None)


def plain_iqm(values):
    """Sort, cut a quarter (rounded down) from either end, average."""
    ordered = sorted(np.ravel(values).tolist())
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


@pytest.mark.parametrize(
    ("games", "seeds"), [(1, 1), (1, 2), (1, 3), (2, 2), (5, 1), (3, 3), (22, 2), (7, 5)]
)
def test_the_interquartile_mean_is_that_of_a_plain_loop(games, seeds):
    config = settings(games=sorted(GAMES)[:games], seeds=list(range(seeds)))
    values = np.random.default_rng(games).uniform(0.1, 1, (2, games, seeds))
    found = (
        aggregate.interquartile_means(config, run_data(config, values).scores)
        .query("protocol == 'paper'")
        .droplevel([0, 1])
    )
    for method, scores in zip(config.methods, values, strict=False):
        iqm, low, high = found.loc[method]
        assert iqm == pytest.approx(plain_iqm(scores))
        assert math.isnan(low) == math.isnan(high) == (seeds == 1)
        assert seeds == 1 or low <= high
    assert found.iloc[2:].isna().all(axis=None)


def test_the_interval_is_that_of_a_plain_bootstrap_within_games():
    config = settings(games=sorted(GAMES)[:6], seeds=[0, 1, 2, 3])
    draw = np.random.default_rng(0)
    # Games differ far more than seeds: were runs drawn without strata, the interval would be
    # several times as wide.
    values = np.linspace(0.2, 0.8, 6)[:, None] + draw.normal(0, 0.03, (6, 4))
    found = aggregate.interquartile_means(config, run_data(config, values[None]).scores).loc[
        ("random_agent", "paper", "maj-clf")
    ]
    means = []
    for _ in range(4000):
        means.append(plain_iqm([[game[draw.integers(4)] for _ in range(4)] for game in values]))
    low, high = np.quantile(means, [0.025, 0.975])
    assert high - low < 0.1
    assert found["low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert found["high"] == pytest.approx(high, abs=0.1 * (high - low))


def test_interquartile_means_are_the_same_twice_and_whatever_the_other_methods():
    config = settings(games=["pong", "boxing"], seeds=[0, 1, 2])
    scores = run_data(config, np.random.default_rng(0).uniform(0.1, 1, (3, 2, 3))).scores
    once, twice = (aggregate.interquartile_means(config, scores) for _ in range(2))
    pd.testing.assert_frame_equal(once, twice, check_exact=True)
    fewer = config.model_copy(update={"methods": {"vae": config.methods["vae"]}})
    assert (
        aggregate.interquartile_means(fewer, scores)
        .iloc[0]
        .equals(once.loc[("random_agent", "paper", "vae")])
    )


def test_unequal_runs_are_named(tmp_path):
    config = settings(games=["pong", "boxing"], seeds=[0, 1, 2])
    scores = run_data(config, np.full((2, 2, 3), 0.5)).scores
    lost = (scores["method"] == "random-cnn") & (scores["game"] == "pong") & (scores["seed"] == 1)
    with pytest.raises(
        UserError, match=r"run the missing probes, random-cnn/pong/seed 1 \(random_agent, paper\)$"
    ):
        aggregate.interquartile_means(config, scores[~lost])
    lost = (scores["method"] == "random-cnn") & ~(
        (scores["game"] == "pong") & (scores["seed"] == 1)
    )
    with pytest.raises(
        UserError,
        match=r"random-cnn/pong/seed 0 .*/seed 2 .*random-cnn/boxing/seed 0 \(.*\) and 2 more$",
    ):
        aggregate.interquartile_means(config, scores[~lost])
