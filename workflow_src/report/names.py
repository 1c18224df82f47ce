"""Display names of identifiers, and of what is missing: the only place that has them."""

from typing import NamedTuple

from workflow_src import kinds
from workflow_src.config.protocols import QUIRKS, meaning
from workflow_src.config.run import Config

DASH = "–"

CATEGORY_NAMES = {
    "small_object_localization": "Small object localization",
    "agent_localization": "Agent localization",
    "other_localization": "Other localization",
    "score_clock_lives_display": "Score/clock/lives/display",
    "misc": "Misc.",
}

METRIC_NAMES = {"f1": "F1", "accuracy": "accuracy"}

# What reads a method out that has no probe of its own kind.
_OTHER_PROBES = {"majority": "majority", "supervised": "its own"}


# Columns and rows of tables.
COLUMN_NAMES = {
    "f1": "F1",
    "iqm": "Interquartile mean",
    "r2": "R2",
    "mae": "Mean absolute error",
    "std": "± std",
    "low": "From",
    "high": "To",
    "ram_index": "RAM byte",
    "pixels": "Screen changed",
    "pixels_most": "Most",
    "moves_x": "Moves along x",
    "moves_y": "Moves along y",
    "readable": "Read from frames, R²",
    "knows_lives": "Knows lives",
    "lives_know": "Lives know it",
    "at_lives": "Changes with lives",
    "with_lives": "Of its changes, with lives",
    "with_rewards": "With rewards",
    "game": "Game",
    "policy": "Policy",
    "protocol": "Protocol",
    "mean_weighted": "Weighted mean",
    "val": "Validation",
}
ROW_NAMES = {"mean": "Mean", "total": "Total", "paper_total": "Published total"}


class Switch(NamedTuple):
    """A switch of the protocols: its quirk and section, what it decides, its value by protocol."""

    quirk: str
    section: str
    name: str
    meaning: str
    values: dict[str, str]


def switches(config: Config) -> list[Switch]:
    """Every switch of the protocols, by quirk."""
    rows = {protocol: row.model_dump() for protocol, row in config.protocols.items()}
    found = []
    for quirk, named in QUIRKS.items():
        for section, name in named:
            values = {protocol: setting_text(row[section][name]) for protocol, row in rows.items()}
            found.append(Switch(quirk, section, name, meaning(section, name), values))
    return found


def setting_text(value: bool | int | float | str) -> str:
    """A setting as in config.yaml."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def method_name(method: str) -> str:
    """A method's identifier in capitals, as in the paper."""
    return method.upper()


def probe_name(probe: str) -> str:
    """The name of a probe: ``NAME`` of its kind's file, or its identifier if it has none."""
    if probe in _OTHER_PROBES:
        return _OTHER_PROBES[probe]
    return str(kinds.declared("probes/kinds", probe).get("NAME", probe))


def listed(names: list[str]) -> str:
    """List the first three of ``names`` and count the others."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
