"""Means of the scores of state variables, by category and over all: what the paper reports.

Source: arXiv 1906.08226, section 4.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from workflow_src.ari.labels import CATEGORIES, categories
from workflow_src.errors import UserError

METRICS = ("f1", "accuracy")
OF_NUMBERS = ("r2", "mae", "within_2")  # of probes that estimate numbers


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
