"""How identifiers, and what is missing, read in tables and figures: the only place that knows display names."""

DASH = "–"

CATEGORY_NAMES = {
    "small_object_localization": "Small object localization",
    "agent_localization": "Agent localization",
    "other_localization": "Other localization",
    "score_clock_lives_display": "Score/clock/lives/display",
    "misc": "Misc.",
}

METRIC_NAMES = {"f1": "F1", "accuracy": "accuracy"}

PROBE_NAMES = {
    "linear": "linear",
    "mlp": "one hidden layer",
    "observed": "linear, observed classes",
    "logistic": "logistic regression",
    "majority": "majority",
    "supervised": "its own",
}


def method_name(method: str) -> str:
    """Write a method's identifier in capitals, as the paper does."""
    return method.upper()


def listed(names: list[str]) -> str:
    """Name the first three of ``names`` and count the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
