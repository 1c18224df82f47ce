"""The probe in closed form, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from workflow_src.config.run import defaults
from workflow_src.errors import UserError
from workflow_src.probes.fitting import Features
from workflow_src.probes.kinds import ridge
from workflow_src.probes.least_squares import STRENGTHS

pytestmark = pytest.mark.usefixtures("one_thread")
DEVICE = torch.device("cpu")


def made(n, rng, d=12):
    """Small correlated features, and two variables that follow from them."""
    x = (0.02 * rng.normal(size=(n, d)) @ MIX + 0.3).astype(np.float32)
    x[:, -1] = 7  # varies in no frame
    first = np.digitize(x[:, 0], np.quantile(x[:, 0], [0.3, 0.6])) * 5
    second = (x[:, 1] + x[:, 2] > np.median(x[:, 1] + x[:, 2])) + 40
    return Features(x, np.stack([first, second], 1).astype(np.uint8), np.array([n]))


MIX = np.random.default_rng(5).normal(size=(12, 12))


def fitted(seed=0, **change):
    rng = np.random.default_rng(seed)
    parts = [made(n, rng) for n in (900, 200, 300)]
    config = defaults({"probe": change})
    switches = config.protocols["paper"].probes
    return parts, ridge.fit(parts[0], parts[1], config.probe, switches, rng, DEVICE)


def test_it_is_scikit_learn_s_ridge_with_the_best_strength():
    (train, val, test), probes = fitted()
    scaler = StandardScaler().fit(train.values.astype(np.float64))
    x, xv, xt = (scaler.transform(part.values.astype(np.float64)) for part in (train, val, test))
    x[:, -1] = xv[:, -1] = xt[:, -1] = 0
    spectrum = np.linalg.eigvalsh(x.T @ x / len(x))
    for v in range(2):
        classes = np.unique(train.labels[:, v])
        targets = (train.labels[:, v, None] == classes).astype(float)

        def predict(share, features, targets=targets, classes=classes):
            model = Ridge(alpha=share * spectrum.mean() * len(x)).fit(x, targets)
            return classes[model.predict(features).argmax(1)]

        accuracy = [(predict(s, xv) == val.labels[:, v]).mean() for s in STRENGTHS]
        assert probes.strength[v] == STRENGTHS[np.argmax(accuracy)]
        same = predict(probes.strength[v], xt) == probes.predict(test.values)[:, v]
        assert same.mean() > 0.995
    assert (probes.predict(test.values) == test.labels).mean() > 0.75


def test_scale_and_whitening_change_nothing():
    (train, val, test), probes = fitted()
    _, vectors = np.linalg.eigh(np.cov(train.values[:, :-1].T))
    mixed = [
        Features(
            np.c_[(part.values[:, :-1] @ vectors) * 50 + 3, part.values[:, -1]].astype(np.float32),
            part.labels,
            part.lengths,
        )
        for part in (train, val, test)
    ]
    config = defaults({})
    other = ridge.fit(*mixed[:2], config.probe, config.protocols["paper"].probes, None, DEVICE)
    # Standardising makes another penalty of it, which is weak here.
    agree = other.predict(mixed[2].values) == probes.predict(test.values)
    assert agree.mean() > 0.97


def test_the_same_data_give_the_same_bytes():
    _, one = fitted()
    _, two = fitted()
    assert torch.equal(one.weight, two.weight) and torch.equal(one.bias, two.bias)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(UserError, match=r"set probe\.classes to 256"):
        fitted(classes=8)
    parts = [made(30, np.random.default_rng(0)) for _ in range(2)]
    parts[0].values[0, 0] = np.nan
    config = defaults({})
    with pytest.raises(UserError, match="not all finite"):
        ridge.fit(*parts, config.probe, config.protocols["paper"].probes, None, DEVICE)
