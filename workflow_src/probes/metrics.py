"""Scores of predicted state variables: weighted multiclass F1 and accuracy, and errors of numbers.

Source: arXiv 1906.08226, section 4. scikit-learn's f1_score is the oracle of the tests; here all
variables are one count. `means` has the means of them.
"""

import numpy as np
from sklearn.metrics import mean_absolute_error, r2_score


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
    """`means.OF_NUMBERS` of each variable, float64 (V,), from integers and estimates (n, V), n > 1.

    ``r2``: the share of the variance that is explained (of a constant: 1 where it is met, else 0);
    ``mae``: the mean absolute error; ``within_2``: the share of frames at most 2 off.
    """
    return {
        "r2": r2_score(true, estimated, multioutput="raw_values"),
        "mae": mean_absolute_error(true, estimated, multioutput="raw_values"),
        "within_2": (np.abs(estimated - true) <= 2).mean(axis=0),
    }
