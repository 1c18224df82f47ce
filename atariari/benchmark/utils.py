"""The small functions of the 2019 code that others import."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from workflow_src.errors import UserError


class appendabledict(defaultdict):
    """A dictionary of lists that grow together."""

    def __init__(self, type_: type = list, *args: Any, **kwargs: Any):
        self.type_ = type_
        super().__init__(type_, *args, **kwargs)

    def append_update(self, other_dict: Mapping[str, Any]) -> None:
        """Append each value of ``other_dict`` to the list of its key."""
        for key, value in other_dict.items():
            self[key].append(value)

    def extend_update(self, other_dict: Mapping[str, Any]) -> None:
        """Extend the list of each key by ``other_dict``'s."""
        for key, values in other_dict.items():
            self[key].extend(values)

    def subslice(self, slice_: Any) -> dict[str, Any]:
        """A dictionary of every list at an index or a slice."""
        return {key: values[slice_] for key, values in self.items()}


def append_suffix(dictionary: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    """The dictionary with ``suffix`` behind every key."""
    return {key + suffix: value for key, value in dictionary.items()}


def compute_dict_average(metric_dict: Mapping[str, float]) -> float:
    """The mean of the values."""
    return float(np.mean(list(metric_dict.values())))


def calculate_multiclass_accuracy(preds: np.ndarray, labels: np.ndarray) -> float:
    """The share of predictions (n,) that are the labels (n,)."""
    return float(np.mean(np.asarray(preds) == np.asarray(labels)))


def calculate_multiclass_f1_score(preds: np.ndarray, labels: np.ndarray) -> float:
    """Weighted F1 of predictions (n,)."""
    return float(f1_score(labels, preds, average="weighted", zero_division=0))


def calculate_multiple_accuracies(preds: np.ndarray, labels: np.ndarray) -> list[float]:
    """`calculate_multiclass_accuracy` of each column of (n, V)."""
    return [
        calculate_multiclass_accuracy(p, y)
        for p, y in zip(np.asarray(preds).T, np.asarray(labels).T, strict=True)
    ]


def calculate_multiple_f1_scores(preds: np.ndarray, labels: np.ndarray) -> list[float]:
    """`calculate_multiclass_f1_score` of each column of (n, V)."""
    return [
        calculate_multiclass_f1_score(p, y)
        for p, y in zip(np.asarray(preds).T, np.asarray(labels).T, strict=True)
    ]


def download_run(env_name: str, checkpoint_step: int) -> str:
    """Refused: the agents of 2019 are no longer to be had."""
    raise UserError(
        f"the trained agents of 2019 ({env_name}, step {checkpoint_step}) are no longer to be "
        "had: train one with `atariari init my-run --preset ppo`"
    )
