"""How identifiers, and what is missing, read in tables and figures: the only place that knows display names."""

DASH = "–"

CATEGORY_NAMES = {
    "small_object_localization": "Small object localization",
    "agent_localization": "Agent localization",
    "other_localization": "Other localization",
    "score_clock_lives_display": "Score/clock/lives/display",
    "misc": "Misc.",
}


def method_name(method: str) -> str:
    """Write a method's identifier in capitals, as the paper does."""
    return method.upper()
