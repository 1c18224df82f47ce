"""Logistic regression of scikit-learn, one fit per state variable: a convex reading of the features, without a schedule."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from workflow_src.config.probes import Probe
from workflow_src.probes.fitting import Features, check_part


@dataclass(frozen=True)
class LogisticProbes:
    """The fitted models of V variables, and the scaler of the features that they share."""

    scaler: StandardScaler
    models: list[LogisticRegression | DummyClassifier]

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Read out the likeliest value of each variable: features (n, d) -> (n, V) int64."""
        x = self.scaler.transform(values)
        return np.stack([model.predict(x) for model in self.models], axis=1).astype(np.int64)


def fit(train: Features, settings: Probe) -> LogisticProbes:
    """Fit one model per variable on features that have mean 0 and variance 1 in ``train``; nothing is random.

    Every train frame counts once: there are no batches, so the protocol's sampling, early stopping
    and learning rate, and the validation part, play no role. A variable of one class in ``train``
    is always that class. `UserError` as of `linear.fit` for labels and features.
    """
    check_part(train, settings, "train", 1)
    scaler = StandardScaler().fit(train.values)
    x = scaler.transform(train.values)
    with warnings.catch_warnings():
        # max_iter is the budget that the configuration sets: what is reached within it is the
        # result.
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [_model(y, settings).fit(x, y) for y in train.labels.T]
    return LogisticProbes(scaler, models)


def _model(y: np.ndarray, settings: Probe) -> LogisticRegression | DummyClassifier:
    """The model for a variable of values (n,); scikit-learn refuses to fit a regression of one class."""
    if (y == y[0]).all():
        return DummyClassifier(strategy="most_frequent")
    return LogisticRegression(C=settings.logistic.C, max_iter=settings.logistic.max_iter)
