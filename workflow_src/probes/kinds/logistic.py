"""scikit-learn's logistic regression, one fit per state variable: convex, without a schedule."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.probes.fitting import Features, check_part

NAME = "logistic regression"
OPTIONS = {"C": 1.0, "max_iter": 1000}  # C: the inverse strength of the L2 penalty
GRADIENT_DESCENT = False


@dataclass(frozen=True)
class LogisticProbes:
    """The fitted models of V variables, and the scaler of the features that they share."""

    scaler: StandardScaler
    models: list[LogisticRegression | DummyClassifier]

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The most likely value of each variable: features (n, d) -> (n, V) int64."""
        x = self.scaler.transform(values)
        return np.stack([model.predict(x) for model in self.models], axis=1).astype(np.int64)


def fit(
    train: Features,
    val: Features,
    settings: Probe,
    switches: ProbeProtocol,
    rng: np.random.Generator,
    device: torch.device,
    *,
    names: Sequence[str] | None = None,
    progress: bool = False,
) -> LogisticProbes:
    """Fit one model per variable on features that have mean 0 and variance 1 in ``train``.

    Every train frame counts once: there are no batches, so ``val`` and the protocol's sampling,
    early stopping and learning rate play no role, and nothing is random. A variable of one class in
    ``train`` is always predicted as that class. `UserError` as in `linear.fit` for labels and
    features.
    """
    check_part(train, settings, "train", 1)
    options = settings.resolved_options("logistic")
    scaler = StandardScaler().fit(train.values)
    x = scaler.transform(train.values)
    with warnings.catch_warnings():
        # max_iter is the budget that the configuration sets: the result is what it reaches.
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [_model(y, options["C"], options["max_iter"]).fit(x, y) for y in train.labels.T]
    return LogisticProbes(scaler, models)


def _model(y: np.ndarray, c: float, max_iter: int) -> LogisticRegression | DummyClassifier:
    """The model for values (n,); scikit-learn refuses to fit a regression of one class."""
    if (y == y[0]).all():
        return DummyClassifier(strategy="most_frequent")
    return LogisticRegression(C=c, max_iter=max_iter)
