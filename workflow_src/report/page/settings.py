"""What was run: the settings, methods and protocols of a run, as the page shows them."""

import pandas as pd
import yaml

from workflow_src.config.run import Config
from workflow_src.report.names import switches
from workflow_src.report.page.cells import Table, lay_out


def run_settings(config: Config) -> dict[str, str]:
    """The settings that all games share, as text."""
    frames = config.episodes.frames
    epochs = f"{config.training.epochs} for encoders, {config.probe.epochs} for probes"
    return {
        "Seeds": ", ".join(map(str, config.seeds)),
        "Policies": ", ".join(config.policies),
        "Protocols": ", ".join(config.protocols),
        "Label set": config.label_set,
        "Frames a game": f"{frames.pretrain:,} for encoders, {frames.probe:,} for probes",
        "Epochs at most": epochs,
        "Probes": ", ".join(config.probe.kinds),
    }


def as_text(config: Config) -> str:
    """The whole configuration as YAML, the defaults included."""
    content = config.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)


def method_table(config: Config) -> Table:
    """The entries of ``methods``: what each learns from, and its own settings."""
    rows = []
    for name, row in config.methods.items():
        excluded = {"kind", "encoder", "options", "module", "kwargs"}
        own = row.model_dump(exclude_defaults=True, exclude=excluded) | row.resolved_options
        encoder = (row.module if row.kind == "custom" else row.encoder) if row.has_encoder else ""
        rows.append(
            {
                "method": name,
                "kind": row.kind,
                "learns_from": {None: "nothing", "pretrain": "frames", "probe": "labels"}[
                    row.learns_from
                ],
                "encoder": encoder,
                "settings": ", ".join(f"{key} {value}" for key, value in own.items()),
            }
        )
    caption = "The columns of the tables: what each method learns from, and its settings."
    return lay_out(config, pd.DataFrame(rows), "methods", "Methods", caption)


def protocol_table(config: Config) -> Table:
    """The protocols side by side, a row for each switch."""
    rows = []
    for one in switches(config):
        names = {"quirk": one.quirk, "step": one.section, "switch": one.name}
        rows.append({**names, **one.values, "meaning": one.meaning})
    caption = "Switches for the quirks of the 2019 code."
    return lay_out(config, pd.DataFrame(rows), "protocols", "Protocols", caption)
