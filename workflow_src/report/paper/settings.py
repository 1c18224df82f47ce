"""What was run, as the paper tells it: settings, switches, methods and files."""

from typing import Any, NamedTuple

import pandas as pd

from workflow_src import layout
from workflow_src.config.methods import Method
from workflow_src.config.run import Config
from workflow_src.report.names import Switch

PUBLISHED = "paper_settings.csv"
# {key in the configuration: name in the paper} of the settings that were published.
NAMES = {
    "games": "games",
    "episodes.frames.pretrain": "frames a game for encoders",
    "episodes.frames.probe": "frames a game for probes",
    "training.epochs": "epochs of encoders at most",
    "training.patience": "patience of encoders",
    "training.batch_size": "batch size of encoders",
    "training.lr": "learning rate of encoders",
    "probe.epochs": "epochs of probes at most",
    "probe.patience": "patience of probes",
    "probe.batch_size": "batch size of probes",
    "probe.classes": "classes of a probe",
    "splits.min_entropy": "least entropy of a variable (nats)",
}
# A run is smaller than the published one if one of these is.
_SCALE = (
    "games",
    "episodes.frames.pretrain",
    "episodes.frames.probe",
    "training.epochs",
    "probe.epochs",
)
# Points: the width of a page, of a letter in the table of protocols, of the gap between its
# columns, and the least width of the column with sentences.
_WIDTH, _LETTER, _GAP, _LEAST = 480, 4.2, 10, 120


class Setting(NamedTuple):
    """A setting of this run and its published value."""

    name: str
    ours: str
    published: str
    smaller: bool


def compared_settings(config: Config, published: pd.DataFrame) -> list[Setting]:
    """The published settings and this run's; learning rates of probes belong to the protocols."""
    found = []
    for name, theirs in published["published"].items():
        value: Any = config
        for key in str(name).split("."):
            value = getattr(value, key)
        ours = float(len(value) if isinstance(value, list) else value)
        smaller = name in _SCALE and ours < theirs
        shown = NAMES.get(str(name), str(name))
        found.append(Setting(shown, number_text(ours), number_text(theirs), smaller))
    return found


def number_text(value: float) -> str:
    """A number as text: 100,000 or 0.0003."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def meaning_width(config: Config, switches: list[Switch]) -> int | None:
    """Points for the column that says what a switch decides; None if there is no room for it."""
    letters = [len("quirk"), max(len(f"{one.section}.{one.name}") for one in switches)]
    for protocol in config.protocols:
        letters.append(max(len(protocol), *(len(one.values[protocol]) for one in switches)))
    left = int(_WIDTH - sum(_LETTER * count + _GAP for count in letters))
    return left if left >= _LEAST else None


def method_settings(row: Method) -> str:
    """What an entry of ``methods`` sets, options with their defaults: "beta 1.0, epochs 20"."""
    excluded = {"kind", "options", "module", "kwargs", "weights"}
    own = row.model_dump(exclude_defaults=True, exclude=excluded)
    return ", ".join(f"{name} {value}" for name, value in (row.resolved_options | own).items())


def files_by_step(config: Config) -> dict[str, list[str]]:
    """The files that each step makes."""
    return {
        "episodes": layout.EPISODES.files(config),
        "splits": layout.SPLITS.files(config),
        "encoders": layout.ENCODERS.files(config),
        "probes": layout.PROBES.files(config),
    }
