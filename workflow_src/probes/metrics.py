"""Scores of predicted state variables, and the means that the paper reports.

Source: arXiv 1906.08226, section 4.

Weighted multiclass F1 and accuracy per variable; mean within each category; mean over the
categories present, the headline of every table; and two other means of all, see `summarise`.
scikit-learn's f1_score is the oracle of the tests; here all variables are one count.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from sklearn.metrics import mean_absolute_error, r2_score

from workflow_src.ari.labels import CATEGORIES, categories
from workflow_src.errors import UserError

METRICS = ("f1", "accuracy")
OF_NUMBERS = ("r2", "mae", "within_2")  # of probes that estimate numbers


def count(labels: np.ndarray, classes: int, where: np.ndarray | None = None) -> np.ndarray:
    """How often each value occurs: integers (n, V) -> int64 (V, classes).

    Only entries in the mask ``where`` (n, V) count, if it is given.
    """
    variables = labels.shape[1]
    flat = labels.astype(np.int64) + classes * np.arange(variables)
    flat = flat.ravel() if where is None else flat[where]
    return np.bincount(flat, minlength=variables * classes).reshape(variables, classes)


def scores(true: np.ndarray, predicted: np.ndarray, classes: int = 256) -> dict[str, np.ndarray]:
    """``{"f1", "accuracy"}`` of each variable, float64 (V,), from integers (n, V) with n > 0.

    The F1 of a class is 2 TP / (2 TP + FP + FN); its weight is the share of frames that truly are
    of that class.
    """
    assert true.shape == predicted.shape and len(true) > 0
    hits = count(true, classes, true == predicted)
    support, claimed = count(true, classes), count(predicted, classes)
    f1 = 2 * hits / np.maximum(support + claimed, 1)
    return {"f1": (f1 * support).sum(axis=1) / len(true), "accuracy": hits.sum(axis=1) / len(true)}


def errors(true: np.ndarray, estimated: np.ndarray) -> dict[str, np.ndarray]:
    """`OF_NUMBERS` of each variable, float64 (V,): integers (n, V) and estimates (n, V), n > 1.

    ``r2``: the share of the variance that is explained (of a constant: 1 where it is met, else 0);
    ``mae``: the mean absolute error; ``within_2``: the share of frames at most 2 off.
    """
    return {
        "r2": r2_score(true, estimated, multioutput="raw_values"),
        "mae": mean_absolute_error(true, estimated, multioutput="raw_values"),
        "within_2": (np.abs(estimated - true) <= 2).mean(axis=0),
    }


def summarise(variables: Mapping[str, Mapping[str, float]]) -> dict[str, dict]:
    """Means of ``{variable: {"f1", "accuracy", ...}}``: ``categories``, and three over all of it.

    ``mean_over_categories``: every category present counts alike; one is present if a variable is
    in it. ``mean_over_variables``: every variable counts alike. ``mean_weighted``: every category
    counts as often as it has variables. A variable may be in two categories, or in none: here it
    counts twice, or not at all, and in the mean over variables once. `UserError` when no category
    is present.
    """
    members = {
        category: [v for v in variables if category in categories(v)] for category in CATEGORIES
    }
    means = {
        category: _mean(variables[v] for v in names) for category, names in members.items() if names
    }
    if not means:
        raise UserError(
            f"none of the variables {', '.join(variables)} is in a category: lower "
            "splits.min_entropy to keep others"
        )
    return {
        "categories": means,
        "mean_over_categories": _mean(means.values()),
        "mean_over_variables": _mean(variables.values()),
        "mean_weighted": _mean(variables[v] for names in members.values() for v in names),
    }


def _mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(rows)
    metrics = [*METRICS, *(metric for metric in OF_NUMBERS if metric in rows[0])]
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in metrics}
