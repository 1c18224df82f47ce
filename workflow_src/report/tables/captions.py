"""What the captions of LaTeX tables say about how their values were made."""

import importlib.metadata

import pandas as pd

from workflow_src.config.run import Config
from workflow_src.report import aggregate
from workflow_src.report.names import method_name, probe_name
from workflow_src.report.tables.columns import has_published, method_columns

PAPER = "arXiv 1906.08226"
PUBLISHED_LABELS = "paper-2019"
# A value this close to the best of its row is bold too, as in the paper.
TIE = 0.01

THE_PAPER = f"the paper ({PAPER}: label set paper-2019, random agents)"
THE_AGENTS = "where an agent played, of the paper's PPO agents"


def score_note(
    config: Config,
    table: pd.DataFrame,
    source: str = THE_PAPER,
) -> str:
    """What the values of a table are, the source of the published ones, and how ours were made."""
    spread = "Ours are means and standard deviations over seeds. " if len(config.seeds) > 1 else ""
    published = "No values were published. "
    if has_published(table):
        other = label_set_note(config)
        if any(row.agent is not None for row in config.policies.values()):
            source = f"{source}; {THE_AGENTS}"
        published = f"Published values are of {source}. {f'{other} ' if other else ''}"
    methods = [method for method in method_columns(table) if learns_labels(config, method)]
    with_labels = " and ".join(map(method_name, methods))
    but = f", {with_labels} aside, which learned from the labels" if with_labels else ""
    bold = f"Bold: the best of its row as shown, and what is within {TIE:g} of it{but}. "
    return f"{spread}{published}{bold}{how_made(config)}"


_PRECISIONS = {"auto": "bfloat16 where the device has products of it, else in float32"}


def how_made(config: Config, probe: bool = True) -> str:
    """How the scores were made: the end of a caption. Without ``probe``, the probe is not named."""
    frames, epochs = config.episodes.frames, config.training.epochs
    precision = config.training.precision
    others = [
        f", {method} {row.epochs}"
        for method, row in config.methods.items()
        if row.epochs not in (None, epochs)
    ]
    probed_by = f"Probe: {probe_name(config.probe.kinds[0])}. " if probe else ""
    return (
        f"Policy: {', '.join(config.policies)}. Protocol: {', '.join(config.protocols)}. "
        f"Label set: {config.label_set}. {probed_by}"
        f"Frames: {frames.pretrain} for encoders, {frames.probe} for probes. "
        f"Epochs at most: {epochs} for encoders{''.join(others)}; "
        f"{config.probe.epochs} for probes. "
        f"Encoders learn in {_PRECISIONS.get(precision, precision)}. "
        f"Seeds: {', '.join(map(str, config.seeds))}. {versions_note()}"
    )


def versions_note() -> str:
    """The versions that decide what a table says; a local part, such as +cpu, is left out."""
    found = [
        f"{name} {importlib.metadata.version(name).partition('+')[0]}"
        for name in ("atariari", "ale-py", "torch")
    ]
    return f"Versions: {', '.join(found)}."


def label_set_note(config: Config) -> str:
    """Say so when our label set is not the published one; else nothing."""
    if config.label_set == PUBLISHED_LABELS:
        return ""
    return (
        f"Not comparable: ours are of label set {config.label_set}, "
        f"the published of {PUBLISHED_LABELS}."
    )


def interval_note(config: Config) -> str:
    """What the interval of an interquartile mean is, or why there is none."""
    if len(config.seeds) == 1:
        return "interval, of which a single seed has none"
    return (
        f"{aggregate.CONFIDENCE:.0%} interval "
        f"(bootstrap over {len(config.seeds)} seeds, stratified by game)"
    )


def learns_labels(config: Config, method: str) -> bool:
    """Whether a method learns from the labels: it does not compete with those that do not."""
    return config.methods[method].learns_from == "probe"
