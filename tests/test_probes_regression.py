"""Values read as numbers: the fit against scikit-learn, the scores by hand, the file's table."""

import numpy as np
import pytest
import torch
from scored import data_of, probe, settings, with_numbers
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from workflow_src.config.run import defaults
from workflow_src.errors import UserError
from workflow_src.means import summarise
from workflow_src.probes import metrics
from workflow_src.probes.fitting import Estimates, Features
from workflow_src.probes.kinds import regression, ridge
from workflow_src.probes.least_squares import STRENGTHS
from workflow_src.report.tables import regression as of_numbers

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
CONFIG = defaults({})
MIX = np.random.default_rng(5).normal(size=(12, 12))


def made(n, rng):
    """Small correlated features: two positions that follow from them, and one value for all."""
    x = (0.02 * rng.normal(size=(n, 12)) @ MIX + 0.3).astype(np.float32)
    x[:, -1] = 7  # varies in no frame
    first = np.clip(100 + 400 * (x[:, 0] - 0.3) + rng.normal(size=n), 0, 255)
    second = np.clip(60 - 300 * (x[:, 1] - x[:, 2]) + 8 * rng.normal(size=n), 0, 255)
    labels = np.stack([first, second, np.full(n, 9)], axis=1).round().astype(np.uint8)
    return Features(x, labels, np.array([n]))


def fit(kind, train, val, config=CONFIG):
    return kind.fit(train, val, config.probe, config.protocols["paper"].probes, None, CPU)


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    return [made(n, rng) for n in (900, 200, 300)]


def test_it_is_scikit_learn_s_ridge_with_the_best_strength(parts):
    train, val, test = parts
    probes = fit(regression, train, val)
    scaler = StandardScaler().fit(train.values.astype(np.float64))
    x, xv, xt = (scaler.transform(part.values.astype(np.float64)) for part in parts)
    x[:, -1] = xv[:, -1] = xt[:, -1] = 0
    variance = np.linalg.eigvalsh(x.T @ x / len(x)).mean()
    found = probes.estimate(test.values)
    for v in range(2):
        models = [Ridge(alpha=s * variance * len(x)).fit(x, train.labels[:, v]) for s in STRENGTHS]
        errors = [((m.predict(xv) - val.labels[:, v]) ** 2).mean() for m in models]
        assert probes.strength[v] == STRENGTHS[np.argmin(errors)]
        expected = np.clip(models[np.argmin(errors)].predict(xt), 0, 255)
        np.testing.assert_allclose(found[:, v], expected, atol=1e-4)
    assert found[:, 2] == pytest.approx(9)
    assert np.array_equal(probes.predict(test.values), np.rint(found))
    assert np.abs(found[:, 0] - test.labels[:, 0]).mean() < 1.5


def test_estimates_are_bytes_at_most(parts):
    train, val, _ = parts
    probes = fit(regression, train, val)
    far = np.concatenate([train.values[:1] + 100, train.values[:1] - 100]).astype(np.float32)
    assert probes.estimate(far).min() >= 0 and probes.estimate(far).max() <= 255


def test_only_regression_estimates_numbers(parts):
    train, val, _ = parts
    assert isinstance(fit(regression, train, val), Estimates)
    assert not isinstance(fit(ridge, train, val), Estimates)


def test_what_is_not_finite_is_refused(parts):
    train, val, _ = parts
    values = train.values.copy()
    values[3, 3] = np.nan
    with pytest.raises(UserError, match="the train features are not all finite"):
        fit(regression, Features(values, train.labels, train.lengths), val)


def test_errors_by_hand():
    true = np.array([[10, 5, 5], [20, 5, 5], [30, 5, 5], [40, 5, 5]])
    estimated = np.array([[12, 5, 6], [17, 5, 6], [30, 5, 6], [41, 5, 6]], float)
    found = metrics.errors(true, estimated)
    assert found["mae"].tolist() == [1.5, 0, 1]
    assert found["within_2"].tolist() == [0.75, 1, 1]
    assert found["r2"] == pytest.approx([1 - 14 / 500, 1, 0])


def numbers(r2, mae, within):
    return {"r2": r2, "mae": mae, "within_2": within}


def test_means_are_means_of_errors_too():
    content = with_numbers(numbers(0.5, 4.0, 0.2))
    assert content["mean_over_categories"]["mae"] == 2.0
    assert content["categories"]["small_object_localization"]["within_2"] == 0.2
    assert "mae" not in summarise(probe()["variables"])["mean_weighted"]


def test_the_table_has_means_over_seeds_and_games(tmp_path):
    config = settings(
        games=["pong", "boxing"], seeds=[0, 1], probe={"kinds": ["linear", "regression"]}
    )
    files = [
        with_numbers(numbers(0.5, error, 0.2), game=game, seed=seed)
        for game, errors in {"pong": (4.0, 6.0), "boxing": (1.0, 1.0)}.items()
        for seed, error in enumerate(errors)
    ]
    found = of_numbers.table(config, data_of(tmp_path, *files))
    rows = found.set_index(["method", "category", "game"])["mae"]
    ball = rows["st-dim"]["small_object_localization"]
    assert ball.to_dict() == {"pong": 5.0, "boxing": 1.0, "mean": 3.0}
    text = of_numbers.latex(config, found)
    assert "& 0.50 & 3.00 & 0.20" in text and "ST-DIM" in text


def test_without_such_a_probe_the_table_says_so(tmp_path):
    config = settings(games=["pong"], probe={"kinds": ["linear", "regression"]})
    found = of_numbers.table(config, data_of(tmp_path, probe(readout="linear")))
    assert found.empty and "No probe of this kind" in of_numbers.latex(config, found)
