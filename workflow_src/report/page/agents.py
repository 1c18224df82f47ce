"""The views of a run's agents: how each learned and plays, its settings, and what made it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_src import artifacts, layout
from workflow_src.agents.weights import KIND
from workflow_src.config.agents import Agent
from workflow_src.config.run import Config
from workflow_src.report.agents import agent_curves
from workflow_src.report.agents.data import AgentData, read_data
from workflow_src.report.figures import style
from workflow_src.report.page.cells import Table, lay_out
from workflow_src.report.page.files import Picture, Subject, picture_of

_CURVES = "Score of an evaluation by emulator frames learned from, a panel for each game."
_CHECKPOINTS = "Games that each file of weights played with few random actions, and their scores."
_SETTINGS = "What its entry says, and what its preset adds. All else has the default value."
_PROVENANCE = (
    "Checksums of each file of weights, of the settings and of the code that made it. For a "
    "published agent, also where it came from."
)


@dataclass(frozen=True)
class AgentFiles:
    """What a run's agents left, as `layout` names it, and the folder of published scores."""

    weights: Sequence[Path]
    histories: Sequence[Path]
    evaluations: Sequence[Path]
    reference: Path


@dataclass(frozen=True)
class AgentView:
    """What the view of one agent shows."""

    name: str
    about: dict[str, str]
    curves: Picture | None
    checkpoints: Table
    films: list[Picture]
    settings: Table
    provenance: Table


def agent_views(
    config: Config, files: AgentFiles, films: Mapping[str, list[Picture]]
) -> list[AgentView]:
    """The views of the agents of ``config``; ``films`` are pictures by agent.

    `UserError` or `DamagedFile` for a file that is missing or damaged.
    """
    data = read_data(config, files.histories, files.evaluations, files.reference)
    provenance = pd.DataFrame([_made(file) for file in files.weights])
    views = []
    for name, row in config.agents.items():
        alone = config.model_copy(update={"agents": {name: row}})
        made = provenance[provenance["agent"] == name].drop(columns="agent")
        played = data.games[data.games["agent"] == name]
        views.append(
            AgentView(
                name=name,
                about=_about(row),
                curves=_curves(alone, data, name),
                checkpoints=lay_out(
                    config,
                    _checkpoints(played),
                    f"agent-{name}-checkpoints",
                    "Checkpoints",
                    _CHECKPOINTS,
                ),
                films=films.get(name, []),
                settings=lay_out(
                    config, _settings(row), f"agent-{name}-settings", "Settings", _SETTINGS
                ),
                provenance=lay_out(
                    config,
                    made.dropna(axis=1, how="all"),
                    f"agent-{name}-provenance",
                    "Provenance",
                    _PROVENANCE,
                ),
            )
        )
    return views


def _about(row: Agent) -> dict[str, str]:
    world = row.environment
    found = {
        "Learns by": " ".join([row.kind, *sorted(row.variants)]),
        "Plays": world.kind,
        "Protocol": row.protocol,
        "Steps": f"{row.steps:,}",
        "Frames": f"{row.steps * world.frame_skip:,}" if world.kind == "atari" else "",
        "Preset": row.preset or "",
        "Sees through": row.encoder.method if row.encoder else "",
    }
    if row.published is not None:
        found["Learns by"] = f"{row.kind}, published"
    return {name: text for name, text in found.items() if text}


def _curves(config: Config, data: AgentData, name: str) -> Picture | None:
    """The learning curves of one agent; None where it was published, and has none."""
    histories = data.histories[data.histories["agent"] == name]
    if len(histories) < 2:
        return None
    figure = agent_curves.figure(config, AgentData(histories, data.games, data.published))
    about = Subject(f"agent-{name}-curves", "Learning curves", _CURVES)
    return picture_of(about, style.png(figure))


def _checkpoints(games: pd.DataFrame) -> pd.DataFrame:
    """A row for each file of weights: how many games it finished, their mean and spread."""
    keys = ["game", "seed", "weights", "step"]
    finished = games["finished"].astype(bool)
    runs = [games[key] for key in keys]
    counted = games[finished | ~finished.groupby(runs).transform("any")]
    found = counted.groupby(keys, sort=False)["score"].agg(["size", "mean", "std", "min", "max"])
    names = {"size": "games", "mean": "score", "min": "lowest", "max": "highest"}
    return found.reset_index().rename(columns=names).sort_values(["game", "seed", "step"])


def _settings(row: Agent) -> pd.DataFrame:
    """Settings other than the defaults, by their dotted names."""
    found = _flat(row.model_dump(exclude_defaults=True), "")
    return pd.DataFrame(sorted(found), columns=["setting", "value"])


def _flat(values: Mapping[str, Any], before: str) -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{before}{name}", shown


def _made(file: Path) -> dict[str, Any]:
    """What the header of a file of weights says of its making."""
    inside = f"results/{file.as_posix().rpartition('results/')[2]}"
    names = layout.AGENTS.parse(inside) or {}
    header = artifacts.read_header(file, KIND)
    return {
        "agent": names.get("agent"),
        "game": names.get("game"),
        "seed": names.get("seed"),
        "weights": names.get("weights"),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest()[:16],
        "settings": str(header.get("settings", ""))[:16] or None,
        "code": header.get("code"),
        "source": header.get("source"),
        "sha256_of_source": str(header.get("sha256", ""))[:16] or None,
    }
